package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Stranded calls each for the messages, in their order, that lie in the jobs stream although its consumer has them below its
// acknowledgement floor: it counts them as done with and delivers them to nobody any more. One that is being acknowledged
// right now may be among them; it is gone when looked for again. It costs two requests where there are none, and one more
// for each. ErrStop ends it without an error.
//
// They come about where nats-server restarts or purges a subject (docs/decisions.md, 12 and 40).
func (q *Queue) Stranded(ctx context.Context, each func(*Message) error) error {
	var floor uint64
	err := q.manage(ctx, attemptTime, func(ctx context.Context) error {
		c, err := q.js.Consumer(ctx, q.names.Jobs, q.names.Consumer)
		if err == nil {
			floor = c.CachedInfo().AckFloor.Stream
		}
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return nil // a new one delivers everything
	case err != nil:
		return fmt.Errorf("asking for consumer %s: %w", q.names.Consumer, err)
	}
	for from := uint64(1); from <= floor; {
		m, err := q.read(ctx, lookup{Seq: from, Next: ">"})
		switch {
		case errors.Is(err, ErrNoMessage):
			return nil
		case err != nil:
			return err
		case m.Seq > floor:
			return nil
		}
		switch err := each(m); {
		case errors.Is(err, ErrStop):
			return nil
		case err != nil:
			return err
		}
		from = m.Seq + 1
	}
	return nil
}
