package queue

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// lookup is a request for one message: by sequence, the next one on a subject, or the last one on it.
type lookup struct {
	Seq  uint64 `json:"seq,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
	Last string `json:"last_by_subj,omitempty"`
}

type lookupAnswer struct {
	reply
	Message *stored `json:"message"`
}

// find asks the stream's leader for one message: ErrNoMessage where there is none, ErrNotSetUp where there is no stream.
func (q *Queue) find(ctx context.Context, stream string, l lookup) (*stored, error) {
	var got lookupAnswer
	err := q.retry(ctx, func(ctx context.Context) error {
		got = lookupAnswer{}
		return q.ask(ctx, "STREAM.MSG.GET."+stream, l, &got)
	})
	switch apiCode(err) {
	case jetstream.JSErrCodeMessageNotFound, codeSequenceNotFound:
		return nil, ErrNoMessage
	case jetstream.JSErrCodeStreamNotFound:
		return nil, fmt.Errorf("stream %s: %w", stream, ErrNotSetUp)
	}
	if err != nil {
		return nil, fmt.Errorf("reading from stream %s: %w", stream, err)
	}
	if got.Message == nil {
		return nil, ErrNoMessage
	}
	got.Message.header, got.Message.malformed = readHeader(got.Message.Hdrs)
	return got.Message, nil
}

// read is find in the jobs stream, knowing which stream and epoch the answer belongs to. A stream that is gone is made
// again where this process may.
func (q *Queue) read(ctx context.Context, l lookup) (*Message, error) {
	for again := range 2 {
		st, err := q.ready(ctx)
		if err != nil {
			return nil, err
		}
		s, err := q.find(ctx, q.names.Jobs, l)
		if err == nil {
			return q.message(s, st), nil
		}
		if again > 0 || !notSetUp(err) || !q.mayHeal() {
			return nil, err
		}
		if err := q.heal(ctx); err != nil {
			return nil, err
		}
	}
	return nil, ErrNoMessage
}

// Head answers the session's first job with sequence >= from, or ErrNoMessage. The read goes to the stream's leader; on a
// replicated stream it can still miss a publish or show a removed job for a moment.
func (q *Queue) Head(ctx context.Context, session string, from uint64) (*Message, error) {
	if !ValidSession(session) {
		return nil, invalidf("session %+q is not a lower-case UUID", session)
	}
	return q.read(ctx, lookup{Seq: max(from, 1), Next: q.names.JobSubject(session)})
}

// Get answers one message, or ErrNoMessage.
func (q *Queue) Get(ctx context.Context, seq uint64) (*Message, error) {
	if seq == 0 {
		return nil, ErrNoMessage
	}
	return q.read(ctx, lookup{Seq: seq})
}

// Next answers the first job of any session, bad subjects included, with sequence >= from, or ErrNoMessage. Wakes are
// passed over.
func (q *Queue) Next(ctx context.Context, from uint64) (*Message, error) {
	return q.read(ctx, lookup{Seq: max(from, 1), Next: q.names.AllJobs})
}

// Waiting answers how many jobs each session has in the stream, the ones running included; "" stands for subjects that
// name no session. It is the costliest read: half a second for 100 000 sessions.
func (q *Queue) Waiting(ctx context.Context) (map[string]uint64, error) {
	info, err := q.streamInfo(ctx, q.names.Jobs, jetstream.WithSubjectFilter(q.names.AllJobs))
	if err != nil {
		return nil, err
	}
	waiting := make(map[string]uint64, len(info.State.Subjects))
	for subject, n := range info.State.Subjects {
		waiting[sessionIn(q.names.AllJobs, subject)] += n
	}
	return waiting, nil
}

// WaitingOf answers how many jobs the session has in the stream, the one running included.
func (q *Queue) WaitingOf(ctx context.Context, session string) (uint64, error) {
	if !ValidSession(session) {
		return 0, invalidf("session %+q is not a lower-case UUID", session)
	}
	subject := q.names.JobSubject(session)
	info, err := q.streamInfo(ctx, q.names.Jobs, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return 0, err
	}
	return info.State.Subjects[subject], nil
}
