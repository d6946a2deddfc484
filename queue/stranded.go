package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Stranded calls each for the messages at or after from, in their order, that lie in the jobs stream although its
// consumer has them below its acknowledgement floor, which it answers: it counts them as done with and delivers them to
// nobody any more. One that is being acknowledged right now may be among them; it is gone when looked for again. It costs
// two requests where there are none, and one more for each. ErrStop ends it without an error.
//
// They come about where nats-server restarts or purges a subject (docs/decisions.md, 12 and 40).
func (q *Queue) Stranded(ctx context.Context, from uint64, each func(*Message) error) (floor uint64, err error) {
	err = q.manage(ctx, attemptTime, func(ctx context.Context) error {
		c, err := q.js.Consumer(ctx, q.names.Jobs, q.names.Consumer)
		if err == nil {
			floor = c.CachedInfo().AckFloor.Stream
		}
		return err
	})
	switch apiCode(err) {
	case jetstream.JSErrCodeConsumerNotFound, jetstream.JSErrCodeStreamNotFound:
		return 0, nil // a new one delivers everything
	}
	if err != nil {
		return 0, fmt.Errorf("asking for consumer %s: %w", q.names.Consumer, err)
	}
	for from = max(from, 1); from <= floor; {
		m, err := q.read(ctx, lookup{Seq: from, Next: ">"})
		switch {
		case errors.Is(err, ErrNoMessage):
			return floor, nil
		case err != nil:
			return floor, err
		case m.Seq > floor:
			return floor, nil
		}
		if err := each(m); err != nil {
			return floor, stopped(err)
		}
		from = m.Seq + 1
	}
	return floor, nil
}

// WakeWaits answers whether the session has a wake after the sequence floor.
func (q *Queue) WakeWaits(ctx context.Context, session string, floor uint64) (bool, error) {
	if !ValidSession(session) {
		return false, invalidf("session %+q is not a lower-case UUID", session)
	}
	_, err := q.read(ctx, lookup{Seq: floor + 1, Next: q.names.WakeSubject(session)})
	if errors.Is(err, ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}
