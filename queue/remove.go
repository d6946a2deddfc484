package queue

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/nats-io/nats.go/jetstream"
)

type deletion struct {
	Seq     uint64 `json:"seq"`
	NoErase bool   `json:"no_erase"`
}

type done struct {
	reply
	Success bool   `json:"success"`
	Purged  uint64 `json:"purged"`
}

func notSetUp(err error) bool { return errors.Is(err, ErrNotSetUp) }

// Remove takes the message out of the stream; nil when it is gone already. In another epoch than the one it was read in
// it looks first: the sequence may belong to a stranger in a stream made anew.
func (q *Queue) Remove(ctx context.Context, m *Message) error {
	err := q.retry(ctx, func(ctx context.Context) error {
		if err := q.connected(ctx); err != nil { // first: it may be another epoch then
			return err
		}
		if q.Epoch() != m.epoch {
			switch now, err := q.find(ctx, q.names.Jobs, lookup{Seq: m.Seq}); {
			case errors.Is(err, ErrNoMessage) || notSetUp(err):
				return nil
			case err != nil:
				return err
			case now.Subject != m.Subject || !now.Time.Equal(m.Time):
				return nil
			}
		}
		return q.erase(ctx, q.names.Jobs, m.Seq)
	})
	if err != nil && !errors.Is(err, ErrNoMessage) {
		return fmt.Errorf("removing message %d of stream %s: %w", m.Seq, q.names.Jobs, err)
	}
	return nil
}

// erase deletes one message, in one attempt; ErrNoMessage when it was gone.
func (q *Queue) erase(ctx context.Context, stream string, seq uint64) error {
	err := q.ask(ctx, "STREAM.MSG.DELETE."+stream, deletion{Seq: seq, NoErase: true}, &done{})
	switch apiCode(err) {
	case jetstream.JSErrCodeMessageNotFound, codeSequenceNotFound, jetstream.JSErrCodeStreamNotFound:
		return ErrNoMessage
	case codeDeleteFailed: // also for a missing message: look
		if _, look := q.find(ctx, stream, lookup{Seq: seq}); errors.Is(look, ErrNoMessage) || notSetUp(look) {
			return ErrNoMessage
		}
	}
	return err
}

type purging struct {
	Filter string `json:"filter"`
	Before uint64 `json:"seq"` // exclusive
}

// Purge takes the session's jobs up to and including the sequence through out of the stream and answers how many it were.
// Hold the session's lease: jobs that run are purged too. It fails, and may be called again, when the epoch rises meanwhile.
func (q *Queue) Purge(ctx context.Context, session string, through uint64) (uint64, error) {
	if !ValidSession(session) {
		return 0, invalidf("session %+q is not a lower-case UUID", session)
	}
	if through == 0 { // the API takes 0 as no bound
		return 0, nil
	}
	epoch := q.Epoch()
	var got done
	var purged uint64
	err := q.retry(ctx, func(ctx context.Context) error {
		if err := q.connected(ctx); err != nil { // first: it may be another epoch then
			return err
		}
		if q.Epoch() != epoch {
			return errors.New("the connection was lost meanwhile, and with it the certainty that this is still the same stream")
		}
		got = done{}
		err := q.ask(ctx, "STREAM.PURGE."+q.names.Jobs, purging{
			Filter: q.names.JobSubject(session), Before: min(through, math.MaxUint64-1) + 1,
		}, &got)
		purged += got.Purged
		return err
	})
	if apiCode(err) == jetstream.JSErrCodeStreamNotFound {
		return 0, nil
	}
	if err != nil {
		return purged, fmt.Errorf("purging the jobs of session %s: %w", session, err)
	}
	return purged, nil
}
