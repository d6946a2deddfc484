package worker

import (
	"context"
	"errors"
	"time"

	"curfew/queue"
)

// take takes jobs whenever the fleet is not halted. It returns when the hints
// are drained.
func (w *Worker) take(ctx context.Context, hints *queue.Hints) {
	for released := true; released; {
		select {
		case <-w.brake.released():
			released = w.takeUntilHalted(ctx, hints)
		case <-w.draining:
			released = false
		case <-ctx.Done():
			released = false
		}
	}
	w.returnTheRest(ctx, hints)
	<-w.draining // one that refuses jobs stays up, visibly not ready, until it is told to go
}

// takeUntilHalted reserves a slot, then asks for one hint, and hands it to the
// slot: a worker never holds work that it cannot run. halted: it ended because
// of a halt, and not because the hints are drained.
func (w *Worker) takeUntilHalted(ctx context.Context, hints *queue.Hints) (halted bool) {
	pulling, stop := w.brake.whileReleased(ctx)
	defer stop()
	for w.reserve(pulling) {
		hint, err := hints.Next(pulling)
		if err != nil {
			<-w.slots
			if errors.Is(err, queue.ErrDrained) || pulling.Err() != nil {
				break
			}
			w.log.WithError(err).Warn("pulling jobs failed, trying again")
			w.pause(ctx, time.Second)
			continue
		}
		if w.isDraining() || w.brake.isOn() {
			<-w.slots
			w.giveBack(hint)
			continue
		}
		w.adoptions.Go(func() {
			defer func() { <-w.slots }()
			w.handle(ctx, hint)
		})
	}
	return pulling.Err() != nil && ctx.Err() == nil && !w.isDraining()
}

// reserve waits for a free slot; false when the worker stops taking first.
func (w *Worker) reserve(pulling context.Context) bool {
	select {
	case w.slots <- struct{}{}:
		return true
	case <-w.draining:
		return false
	case <-pulling.Done():
		return false
	}
}

// returnTheRest hands back what the server had already sent when pulling stopped.
func (w *Worker) returnTheRest(ctx context.Context, hints *queue.Hints) {
	for {
		hint, err := hints.Next(ctx)
		switch {
		case errors.Is(err, queue.ErrDrained), ctx.Err() != nil:
			return
		case err != nil:
			w.pause(ctx, 100*time.Millisecond)
		default:
			w.giveBack(hint)
		}
	}
}

func (w *Worker) giveBack(h *queue.Hint) {
	if err := h.Nak(0); err != nil {
		w.log.WithError(err).WithField("seq", h.Seq).Warn("a job could not be handed back; it comes to another worker after the acknowledgement time")
	}
}

// pause waits for d, or until the worker drains.
func (w *Worker) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.draining:
	case <-ctx.Done():
	}
}

// untilLeases waits until the lease store answers, for a second at least, or
// until the worker drains. Without it a worker that is cut off from the store
// alone would be the quickest of the fleet to ask for each job and the slowest
// to give it back.
func (w *Worker) untilLeases(ctx context.Context) {
	for {
		w.pause(ctx, time.Second)
		if w.isDraining() || ctx.Err() != nil || w.leases.Answers(ctx) {
			return
		}
	}
}

// handle is a slot's life: one hint, from its arrival to its settlement.
func (w *Worker) handle(ctx context.Context, h *queue.Hint) {
	w.busy.Add(1)
	defer w.busy.Add(-1)
	held := w.hold(h)
	defer held.forget()
	switch {
	case h.Session != "":
		w.adopt(ctx, held)
	case h.Wake:
		held.ack() // a wake that names no session says nothing
	default:
		if w.buryStray(ctx, &held.Message) {
			held.ack()
		}
	}
}
