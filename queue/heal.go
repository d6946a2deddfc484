package queue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// healPause is how long a missing jobs stream, or its consumer, is left missing before it is made again: the server goes on
// taking a deleted one apart after it has said that it is gone.
const healPause = 500 * time.Millisecond

// saw notes what the jobs stream was in an epoch that began before it was asked for. Another stream than the one known
// raises the epoch.
func (q *Queue) saw(info *jetstream.StreamInfo, epoch uint64) {
	q.mu.Lock()
	old := q.standing.Load()
	if old != nil && old.epoch > epoch {
		q.mu.Unlock()
		return
	}
	identity := identityOf(info)
	q.standing.Store(&standing{identity: identity, epoch: epoch})
	q.mu.Unlock()
	if old != nil && old.identity != identity {
		q.log.WithField("stream", q.names.Jobs).Warn("the jobs stream was made anew: what was read from it before is void")
		q.raise()
	}
}

// raise begins a new epoch.
func (q *Queue) raise() {
	q.heals.Add(1)
	q.turn()
}

// fresh answers the jobs stream's standing in this epoch, asking the server only in the first call of an epoch.
func (q *Queue) fresh(ctx context.Context) (*standing, error) {
	for {
		if st := q.standing.Load(); st != nil && st.epoch == q.Epoch() {
			return st, nil
		}
		if err := q.look(ctx); err != nil {
			return nil, err
		}
	}
}

// look asks the server for the jobs stream's standing.
func (q *Queue) look(ctx context.Context) error {
	epoch := q.Epoch() // before asking: an answer must not count for an epoch that began after it
	info, err := q.streamInfo(ctx, q.names.Jobs)
	if err == nil {
		q.saw(info, epoch)
	}
	return err
}

// ready is fresh, after making the streams again where they are gone and this process may.
func (q *Queue) ready(ctx context.Context) (*standing, error) {
	st, err := q.fresh(ctx)
	if !errors.Is(err, ErrNotSetUp) || !q.mayHeal() {
		return st, err
	}
	if err := q.heal(ctx); err != nil {
		return nil, err
	}
	return q.fresh(ctx)
}

func (q *Queue) mayHeal() bool { return q.terms.Load() != nil && q.o.Declare != DeclareNever }

// heal declares again after a stream or the consumer was deleted; where this process may not, it only looks. Several
// callers heal once.
func (q *Queue) heal(ctx context.Context) error {
	t := q.terms.Load()
	if t == nil {
		return q.look(ctx)
	}
	select {
	case q.healing <- struct{}{}:
		defer func() { <-q.healing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if q.isGone(ctx) {
		// In the moment of the deletion, a new stream may never hear its subjects, and a new consumer loses its folder to
		// the end of the old one (nats-server 2.15).
		select {
		case <-time.After(healPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	made, err := q.declare(ctx, *t)
	if made {
		q.raise()
		q.log.WithField("stream", q.names.Jobs).Warn("the jobs stream or its consumer was gone: made again")
	}
	return err
}

// isGone answers whether the jobs stream or its consumer is known to be missing.
func (q *Queue) isGone(ctx context.Context) bool {
	err := q.manage(ctx, attemptTime, func(ctx context.Context) error {
		_, err := q.js.Consumer(ctx, q.names.Jobs, q.names.Consumer)
		return err
	})
	switch apiCode(err) {
	case jetstream.JSErrCodeStreamNotFound, jetstream.JSErrCodeConsumerNotFound:
		return true
	}
	return false
}
