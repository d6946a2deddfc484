package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// RollCall asks every worker of the namespace who it is and hands each answer to each, which says whether more are
// wanted. It ends when no answer came for quiet, when each wants no more, or with ctx, none of which is an error. Without
// any worker it ends at once. What a busy or distant worker answers later is missed: ask again.
func (q *Queue) RollCall(ctx context.Context, quiet time.Duration, each func([]byte) (more bool)) error {
	inbox := q.nc.NewInbox()
	sub, err := q.nc.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("calling the roll: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := q.nc.PublishRequest(q.names.RollSubject(), inbox, nil); err != nil {
		return fmt.Errorf("calling the roll: %w", err)
	}
	for {
		wait, cancel := context.WithTimeout(ctx, quiet)
		m, err := sub.NextMsgWithContext(wait)
		cancel()
		switch {
		case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("calling the roll: %w", err)
		case !each(m.Data):
			return nil
		}
	}
}

// AnswerRoll answers each RollCall with what f says, which must not block, until stop is called.
func (q *Queue) AnswerRoll(f func() ([]byte, error)) (stop func(), err error) {
	return q.listen(q.names.RollSubject(), func(m *nats.Msg) {
		body, err := f()
		if err == nil {
			err = m.Respond(body)
		}
		if err != nil {
			q.log.WithError(err).Warn("a roll call could not be answered")
		}
	})
}
