package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

type deletion struct {
	Seq     uint64 `json:"seq"`
	NoErase bool   `json:"no_erase"`
}

type done struct {
	reply
	Success bool `json:"success"`
}

func notSetUp(err error) bool { return errors.Is(err, ErrNotSetUp) }

// Remove takes the message out of the stream; nil when it is gone already. In another epoch than the one it was read in
// it looks first: the sequence may belong to a stranger in a stream made anew. There is no purge beside it: nats-server
// (2.15 and before) lets its consumer forget deliveries of other subjects when one subject is purged.
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
