package main

import (
	"context"
	"sync"

	"curfew/queue"
)

// refusal ends a command, or the start of a worker, whose NATS user lacks a permission: the server tells the connection,
// and the request would only wait in vain. A worker that runs on is not ended: its log tells.
type refusal struct {
	mu   sync.Mutex
	next int
	ends map[int]context.CancelCauseFunc // of what waits for answers now
	soft context.CancelCauseFunc         // of what may be refused without ending the command
	err  *queue.PermissionError          // the first one that ended something
}

// refusalKey is under what a context keeps the *refusal that may end it.
type refusalKey struct{}

func (r *refusal) watch(end context.CancelCauseFunc) (id int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ends == nil {
		r.ends = map[int]context.CancelCauseFunc{}
	}
	r.next++
	r.ends[r.next] = end
	return r.next
}

func (r *refusal) leave(id int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ends, id)
}

// optional makes a refusal end only ctx, until done is called: for what a command can do without.
func (r *refusal) optional(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.soft = cancel
	return ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.soft = nil
		cancel(nil)
	}
}

// refused is called by the connection to NATS.
func (r *refusal) refused(err *queue.PermissionError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.soft != nil {
		r.soft(err)
		return
	}
	if len(r.ends) > 0 && r.err == nil {
		r.err = err
	}
	for _, end := range r.ends {
		end(err)
	}
}

// explains answers the refusal in place of the error that came of it.
func (r *refusal) explains(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || r.err == nil {
		return err
	}
	return r.err
}

// onRefusal is for the connection that is made for ctx; nil where nobody waits to be ended.
func onRefusal(ctx context.Context) func(*queue.PermissionError) {
	if r, ok := ctx.Value(refusalKey{}).(*refusal); ok {
		return r.refused
	}
	return nil
}
