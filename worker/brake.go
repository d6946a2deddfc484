package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"curfew/registry"
)

// brake is what this worker knows of the fleet's halt. Any number of goroutines.
type brake struct {
	mu      sync.Mutex
	known   registry.Halt
	behind  time.Time // since when older states than known are answered; zero: they are not
	stopped int       // runs that the present halt stopped here

	// on is closed while the fleet is halted, off while it is not; saw replaces them.
	on, off chan struct{}
}

// unbelieved is for how long an older state than one seen before is taken for a
// stale answer; then the bucket was made anew or restored.
const unbelieved = 30 * time.Second

func newBrake() *brake {
	b := &brake{on: make(chan struct{}), off: make(chan struct{})}
	close(b.off)
	return b
}

// saw takes over what was read at now and says whether it changed anything.
func (b *brake) saw(h registry.Halt, now time.Time) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.Revision < b.known.Revision {
		if b.behind.IsZero() {
			b.behind = now
		}
		if now.Sub(b.behind) < unbelieved {
			return false
		}
	}
	b.behind = time.Time{}
	was := b.known.On
	b.known = h
	switch {
	case h.On && !was:
		b.stopped = 0
		b.off = make(chan struct{})
		close(b.on)
	case !h.On && was:
		b.on = make(chan struct{})
		close(b.off)
	}
	return h.On != was
}

func (b *brake) state() registry.Halt {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known
}

func (b *brake) isOn() bool { return b.state().On }

// halted is closed at the next halt, or is already.
func (b *brake) halted() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.on
}

// released is closed when no halt is on.
func (b *brake) released() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.off
}

func (b *brake) noteStopped() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped++
}

func (b *brake) stoppedHere() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped
}

// whileReleased is a context that ends with ctx or at the next halt.
func (b *brake) whileReleased(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	halted, ended := b.halted(), ctx.Done()
	go func() {
		select {
		case <-halted:
			cancel()
		case <-ended:
		}
	}()
	return ctx, cancel
}

// haltEvery is how often the brake is read where nobody nudges, at most.
const haltEvery = 5 * time.Second

// lookAtBrake reads whether the fleet is halted and heeds it.
func (w *Worker) lookAtBrake(ctx context.Context) (registry.Halt, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	h, err := w.records.Halt(ctx)
	if err != nil {
		return h, err
	}
	if w.brake.saw(h, time.Now()) {
		log := w.log.WithField("reason", h.Reason).WithField("by", h.By)
		if h.On {
			log.WithField("live", w.table.Count()).Warn("the fleet is halted: live runs are stopped, their jobs are kept, nothing new is taken")
		} else {
			log.Info("the halt of the fleet is over")
		}
	}
	return h, nil
}

// firstLookAtBrake learns whether the fleet is halted before anything is taken.
// False when the worker drains first.
func (w *Worker) firstLookAtBrake(ctx context.Context) bool {
	for warned := false; !w.isDraining() && ctx.Err() == nil; {
		_, err := w.lookAtBrake(ctx)
		if err == nil {
			return true
		}
		if !warned {
			w.log.WithError(err).Warn("no job is taken before it is known whether the fleet is halted, trying again")
			warned = true
		}
		w.pause(ctx, 200*time.Millisecond)
	}
	return false
}

// mindBrake reads the brake until ctx ends: at each nudge, and from time to time.
func (w *Worker) mindBrake(ctx context.Context, nudged <-chan struct{}) {
	tick := time.NewTicker(min(haltEvery, w.cfg.Lease.Renew))
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-nudged:
		case <-tick.C:
		}
		h, err := w.lookAtBrake(ctx)
		if err == nil {
			err = w.records.RenewHalt(ctx, h, time.Now())
		}
		if err != nil && !failing && ctx.Err() == nil {
			w.log.WithError(err).Warn("whether the fleet is halted could not be read; each run asks again before it begins")
		}
		failing = err != nil
	}
}

// mayStart asks, after the run was opened and before its subprocess starts,
// whether the fleet was halted meanwhile: a run that was opened after a halt was
// written never starts. It asks until there is an answer or the lease is lost.
func (a *adoption) mayStart(ctx context.Context) (h registry.Halt, err error) {
	err = a.try(ctx, "read whether the fleet is halted", func(ctx context.Context) error {
		if err := a.trusted(ctx); err != nil {
			return err
		}
		h, err = a.w.lookAtBrake(ctx)
		return err
	}, errLost)
	if h = a.w.brake.state(); err == nil && h.On {
		err = ErrHalted
	}
	return h, err
}

// ErrHalted says that the fleet is halted: nothing starts, and nothing is swept.
var ErrHalted = errors.New("the fleet is halted: `curfew unhalt` ends it")

// haltedEarly is the settlement of a run that was opened and never started.
func haltedEarly(h registry.Halt) Settlement {
	s := fromRow(Ending{Reason: h.Reason}, byIntent[IntentHalted])
	s.Halted, s.Refund = true, true
	return s
}
