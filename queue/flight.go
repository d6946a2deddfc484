package queue

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errUnanswered: the request may have been carried out or not.
var errUnanswered = errors.New("the connection to NATS was lost before the answer came")

// flights are the requests under way. nats.go lets a request that went down with its connection wait for its whole
// timeout; here it ends as soon as there is another connection, and may be sent again.
type flights struct {
	mu  sync.Mutex
	all map[*flight]struct{}
}

type flight struct {
	reconnects uint64 // when it was sent
	cancel     context.CancelCauseFunc
}

// request runs one request, d at most, on the connection that stands now.
func (q *Queue) request(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	if err := q.connected(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &flight{reconnects: q.nc.Stats().Reconnects, cancel: cancel}
	q.flights.mu.Lock()
	q.flights.all[f] = struct{}{}
	q.flights.mu.Unlock()
	defer func() {
		q.flights.mu.Lock()
		delete(q.flights.all, f)
		q.flights.mu.Unlock()
	}()
	err := do(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errUnanswered) {
		return errUnanswered
	}
	return err
}

// downed ends the requests that went down with an earlier connection.
func (fs *flights) downed(reconnects uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for f := range fs.all {
		if f.reconnects < reconnects {
			f.cancel(errUnanswered)
		}
	}
}
