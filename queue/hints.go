package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Hints hands out deliveries of the jobs stream's consumer. Each is news that a session has work, and is held by whoever took
// it until it is acknowledged. Nothing is fetched ahead: a delivery is asked for only while somebody waits in Next.
type Hints struct {
	q        *Queue
	turn     chan struct{} // a token: one caller of Next at a time waits at the server
	draining chan struct{} // closed by Drain
	drain    sync.Once

	// Owned by the holder of turn.
	pull  *pull
	st    *standing       // of the jobs stream when pull was opened
	risen <-chan struct{} // closed when the epoch rises after that
	calm  time.Duration   // pause before the next try after a failure

	drained bool // pull has received its last

	mu  sync.Mutex
	ill error
}

const (
	firstCalm = 10 * time.Millisecond
	lastCalm  = 2 * time.Second
	drainTime = 2 * time.Second // for what is on its way when Drain is called
)

// Hints begins to hand out deliveries. It fails where the stream or the consumer is missing and may not be made.
func (q *Queue) Hints(ctx context.Context) (*Hints, error) {
	if _, err := q.ready(ctx); err != nil {
		return nil, err
	}
	if _, _, err := q.consumerOrNew(ctx, q.mayHeal()); err != nil {
		return nil, err
	}
	if err := q.watchAdvisories(); err != nil {
		return nil, err
	}
	return &Hints{
		q: q, turn: make(chan struct{}, 1), draining: make(chan struct{}), calm: firstCalm,
	}, nil
}

// Next waits for a delivery. It heals what can be healed while it waits: a deleted consumer or stream is declared again,
// a restarted server is asked again. After Drain it hands out what was already on its way, then answers ErrDrained. When ctx ends it answers ctx.Err(), and
// a delivery that still comes goes back to the server at once. Several callers are served in turn.
func (h *Hints) Next(ctx context.Context) (*Hint, error) {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		if h.pull != nil {
			if m := h.pull.take(); m != nil {
				h.well()
				return h.hint(m)
			}
		}
		if err := ctx.Err(); err != nil {
			h.leave()
			return nil, err
		}
		if h.isDraining() {
			if h.finish(ctx) {
				return nil, ErrDrained
			}
			continue
		}
		if err := h.step(ctx); err != nil {
			h.sick(ctx, err)
		}
	}
}

// step opens the pull, asks, and waits for the first thing to happen.
func (h *Hints) step(ctx context.Context) error {
	if h.pull == nil {
		return h.open(ctx)
	}
	if code, text, ok := h.pull.said(); ok {
		return h.heed(ctx, code, text)
	}
	if err := h.pull.ask(1); err != nil {
		h.leave()
		return fmt.Errorf("asking for a delivery: %w", err)
	}
	silence := time.NewTimer(h.pull.silence())
	defer silence.Stop()
	select {
	case <-h.pull.news:
		if !h.pull.refused() {
			h.well()
		}
	case <-h.risen:
		h.leave() // whatever was asked, was asked of another server or stream
	case <-silence.C:
		h.leave()
		return errors.New("the NATS server is silent")
	case <-h.draining:
	case <-ctx.Done():
	}
	return nil
}

// taking is ctx until it ends or Drain is called: what only serves the next delivery is not worth waiting for any more.
func (h *Hints) taking(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	ended := ctx.Done()
	go func() {
		select {
		case <-h.draining:
			cancel()
		case <-ended:
		}
	}()
	return ctx, cancel
}

func (h *Hints) open(ctx context.Context) error {
	ctx, cancel := h.taking(ctx)
	defer cancel()
	risen := h.q.turning() // before the epoch is read
	st, err := h.q.ready(ctx)
	if err != nil {
		return err
	}
	p, err := h.q.newPull(h.q.names.Jobs, h.q.names.Consumer)
	if err != nil {
		return err
	}
	h.pull, h.st, h.risen = p, st, risen
	return nil
}

// heed does what the server's word on a pull asks for.
func (h *Hints) heed(ctx context.Context, code, text string) error {
	switch code {
	case "404", "408": // its time is over: ask again
		h.well()
		return nil
	}
	// The consumer was deleted, nobody knows it, its leader or its server goes away.
	h.leave()
	ctx, cancel := h.taking(ctx)
	defer cancel()
	err := fmt.Errorf("the consumer answers %s %s", code, text)
	if failed := h.q.heal(ctx); failed != nil {
		return fmt.Errorf("%w, and declaring it again failed: %w", err, failed)
	}
	return err
}

// sick notes why pulling does not work and pauses, longer each time.
func (h *Hints) sick(ctx context.Context, err error) {
	if ctx.Err() != nil || h.isDraining() {
		return
	}
	h.mu.Lock()
	first := h.ill == nil
	h.ill = err
	h.mu.Unlock()
	if first {
		h.q.log.WithError(err).Warn("no deliveries for now")
	}
	_ = pause(ctx, h.draining, h.calm)
	h.calm = min(2*h.calm, lastCalm)
}

func (h *Hints) well() {
	h.calm = firstCalm
	h.mu.Lock()
	was := h.ill
	h.ill = nil
	h.mu.Unlock()
	if was != nil {
		h.q.log.Info("deliveries come again")
	}
}

// leave gives the pull up; deliveries that nobody took go back to the server.
func (h *Hints) leave() {
	if h.pull == nil {
		return
	}
	nc := h.q.nc
	h.pull.leave(func(m *nats.Msg) { _ = nc.Publish(m.Reply, []byte("-NAK")) })
	h.pull = nil
}

// finish lets in what is on its way, once, and answers whether nothing is left for the callers of Next.
func (h *Hints) finish(ctx context.Context) bool {
	if h.pull == nil {
		return true
	}
	if h.drained {
		h.leave()
		return true
	}
	h.pull.drain()
	h.drained = pause(ctx, h.pull.ended, drainTime) == nil
	return false
}

// Drain ends the asking for deliveries. It does not wait.
func (h *Hints) Drain() { h.drain.Do(func() { close(h.draining) }) }

func (h *Hints) isDraining() bool {
	select {
	case <-h.draining:
		return true
	default:
		return false
	}
}

// Healthy answers nil while deliveries can be had, else why not.
func (h *Hints) Healthy() error {
	if !h.q.Up() {
		return ErrDisconnected
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ill
}
