package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NewJob is a job to publish. Only Session is needed.
type NewJob struct {
	Session     string
	ID          string // sent as Nats-Msg-Id as it is: make it unique in the stream, "<session>:ID"
	Agent       string
	Conflict    Conflict
	Timeout     time.Duration
	CreatedAt   time.Time
	Traceparent string
	Body        []byte
}

// Published says where a job lies. Duplicate: its id was published before (by an attempt of this very call, perhaps,
// whose answer got lost), and Seq is that one's.
type Published struct {
	ID        string // the id that it was published under, "" for none
	Seq       uint64
	Duplicate bool
}

// Publish adds a job to its session. With an id it is tried again, up to the end of ctx (15 s without one), when no answer
// comes; without an id an unanswered publish is an error, for the job may have been stored.
// Errors: *InvalidError, *TooLargeError, ErrBacklogFull, ErrStreamFull, ErrNotSetUp.
func (q *Queue) Publish(ctx context.Context, j NewJob) (Published, error) {
	if err := j.validate(); err != nil {
		return Published{}, err
	}
	m := nats.NewMsg(q.names.JobSubject(j.Session))
	m.Data = j.Body
	set := func(name, value string) {
		if value != "" {
			m.Header.Set(name, value)
		}
	}
	set(agentHeader, j.Agent)
	set(conflictHeader, string(j.Conflict))
	set(traceparentHeader, j.Traceparent)
	if j.Timeout > 0 {
		set(timeoutHeader, j.Timeout.String())
	}
	if !j.CreatedAt.IsZero() {
		set(createdAtHeader, j.CreatedAt.UTC().Format(time.RFC3339Nano))
	}
	if size := jobSize(m); size > q.MaxJobBytes() {
		return Published{}, &TooLargeError{Size: size, Max: q.MaxJobBytes()}
	}
	return q.publishJob(ctx, m, j.ID)
}

func (j NewJob) validate() error {
	switch {
	case !ValidSession(j.Session):
		return invalidf("session %+.200q is not a lower-case UUID", j.Session)
	case j.ID != "" && !jobIDPattern.MatchString(j.ID):
		return invalidf("id %+.200q: want a letter or digit, then up to 127 letters, digits and . _ : -", j.ID)
	case j.Agent != "" && !agentName(j.Agent):
		return invalidf("agent %+.200q is no agent's name", j.Agent)
	case j.Agent != strings.TrimSpace(j.Agent):
		return invalidf("agent %+.200q begins or ends with a blank", j.Agent)
	case j.Conflict != "" && j.Conflict != ConflictQueue && j.Conflict != ConflictReplace && j.Conflict != ConflictReject:
		return invalidf("conflict %+.200q is none of queue, replace, reject", string(j.Conflict))
	case j.Timeout < 0:
		return invalidf("timeout %v is negative", j.Timeout)
	case j.Traceparent != "" && !traceparentPattern.MatchString(j.Traceparent):
		return invalidf("traceparent %+.200q is no W3C trace context", j.Traceparent)
	}
	return nil
}

// publishJob publishes a message whose headers are complete but for the id.
func (q *Queue) publishJob(ctx context.Context, m *nats.Msg, id string) (Published, error) {
	ack, err := q.send(ctx, q.names.Jobs, m, id)
	switch {
	case err == nil:
		return Published{ID: id, Seq: ack.Sequence, Duplicate: ack.Duplicate}, nil
	case errors.Is(err, errSubjectFull):
		return Published{}, fmt.Errorf("%w: %s has its %d unfinished jobs already (session.backlog): let some finish, or cancel it",
			ErrBacklogFull, m.Subject, q.backlog(ctx))
	case apiCode(err) == jetstream.JSErrCodeStreamMessageExceedsMaximum || errors.Is(err, nats.ErrMaxPayload):
		return Published{}, &TooLargeError{Size: jobSize(m), Max: q.largest(ctx)}
	}
	return Published{}, fmt.Errorf("publishing a job on %s: %w", m.Subject, err)
}

// jobSize is what a job counts for: headers as sent, and body.
func jobSize(m *nats.Msg) int { return m.Size() - len(m.Subject) - len(m.Reply) }

// backlog and largest are for error messages: what the stream really allows, else what this configuration says.
func (q *Queue) backlog(ctx context.Context) int64 {
	if info, err := q.streamInfo(ctx, q.names.Jobs); err == nil {
		return info.Config.MaxMsgsPerSubject
	}
	return q.o.Backlog
}

func (q *Queue) largest(ctx context.Context) int {
	if info, err := q.streamInfo(ctx, q.names.Jobs); err == nil && info.Config.MaxMsgSize > 0 {
		return min(int(info.Config.MaxMsgSize)-replaySlack, q.MaxJobBytes())
	}
	return q.MaxJobBytes()
}

// errSubjectFull is the server's refusal because of the limit per subject.
var errSubjectFull = errors.New("the subject has all the messages it may")

// send publishes into the stream and waits until it is stored. With an id, which goes out as Nats-Msg-Id, it is repeated while no
// answer comes: the stream drops the second copy. A stream that is gone is made again where this process may.
func (q *Queue) send(ctx context.Context, stream string, m *nats.Msg, id string) (ack *jetstream.PubAck, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	healed := false
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		ack, err = q.sendOnce(ctx, stream, m, id)
		if err == nil {
			return ack, nil
		}
		if errors.Is(err, jetstream.ErrNoStreamResponse) {
			// Nobody answered, so nothing was stored. Is the stream away for now, or for good?
			if _, look := q.streamInfo(ctx, stream); notSetUp(look) {
				if healed || !q.mayHeal() {
					return nil, look
				}
				healed = true
				if err := q.heal(ctx); err != nil {
					return nil, err
				}
				continue
			}
		} else if !passing(err) || id == "" && !errors.Is(err, ErrDisconnected) {
			return nil, explained(err, id)
		}
		if over := pause(ctx, nil, wait); over != nil {
			return nil, fmt.Errorf("%w (last: %w)", over, err)
		}
	}
}

func (q *Queue) sendOnce(ctx context.Context, stream string, m *nats.Msg, id string) (ack *jetstream.PubAck, err error) {
	opts := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0), jetstream.WithExpectStream(stream)}
	if id != "" {
		opts = append(opts, jetstream.WithMsgID(id))
	}
	err = q.request(ctx, attemptTime, func(ctx context.Context) (err error) {
		ack, err = q.js.PublishMsg(ctx, m, opts...)
		return err
	})
	if apiCode(err) == codeStoreFailed {
		switch text := err.Error(); {
		case strings.Contains(text, "per subject"): // the limits of subject and stream share one code
			return nil, errSubjectFull
		case strings.Contains(text, "exceeded"):
			return nil, fmt.Errorf("stream %s: %w: let it drain, or raise its limit with the nats command (%w)", stream, ErrStreamFull, err)
		}
	}
	return ack, err
}

func explained(err error, id string) error {
	if id == "" && passing(err) {
		return fmt.Errorf("no answer: it may have been stored or not, an id makes it safe to try again: %w", err)
	}
	return err
}

// Wake publishes news that the session has work, job seq at least (0: not known). It is a message of its own in the jobs
// stream, delivered as a hint.
func (q *Queue) Wake(ctx context.Context, session string, seq uint64) error {
	if !ValidSession(session) {
		return invalidf("session %+q is not a lower-case UUID", session)
	}
	m := nats.NewMsg(q.names.WakeSubject(session))
	m.Header.Set(wakeSeqHeader, fmt.Sprint(seq))
	_, err := q.send(ctx, q.names.Jobs, m, "")
	if errors.Is(err, errSubjectFull) {
		return nil // so many wakes wait already
	}
	if err != nil {
		return fmt.Errorf("waking session %s: %w", session, err)
	}
	return nil
}
