package worker

import (
	"context"
	"errors"

	"curfew/registry"
)

// leave gives the session up: the lease is released before the hint goes back,
// never after, so that whoever gets the hint finds the session free. It answers
// true when somebody knocked and this worker, still the holder, looks again.
func (a *adoption) leave(ctx context.Context, end ending) (lookAgain bool) {
	if end == endLost || end == endFailed {
		if end == endLost {
			a.w.observe.LeaseLost()
		}
		a.abandon()
		return false
	}
	reached(stepLeave)
	again, err := a.release(ctx, forced(end))
	switch {
	case errors.Is(err, registry.ErrTaken), errors.Is(err, registry.ErrTrustEnded):
		a.w.observe.LeaseLost()
		a.abandon()
		return false
	case errors.Is(err, registry.ErrLookAgain):
		end = endDrained // somebody knocked at a lease that is over: tell of it
	case err != nil:
		a.log.WithError(err).Warn("the lease could not be released, it runs out by itself")
		a.delay = max(a.delay, a.w.cfg.Lease.TTL)
	case again:
		return true
	}
	reached(stepRelease)
	a.handOn(ctx, end)
	return false
}

// forced says which endings leave although somebody knocked: those that leave
// work behind, and tell of it with the hint or a wake.
func forced(end ending) bool {
	switch end {
	case endNothing, endKept:
		return false
	case endNotOver, endDrained, endHalted, endBackoff, endElsewhere, endForeign, endFailed, endLost, goOn:
	}
	return true
}

func (a *adoption) release(ctx context.Context, force bool) (again bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTimeout)
	defer cancel()
	return a.lease.Release(ctx, force)
}

// abandon: the lease is lost. Nothing is sent: what this worker holds belongs to
// the next holder.
func (a *adoption) abandon() {
	a.lease.Orphan()
	a.hint.forget()
	a.log.WithField("reason", errText(a.lease.Err())).Warn("the lease was lost: nothing more is written for this session here")
}

func errText(err error) string {
	if err == nil {
		return "superseded"
	}
	return err.Error()
}

// handOn settles the hint, or wakes somebody where work is left and no hint is
// held to tell of it.
func (a *adoption) handOn(ctx context.Context, end ending) {
	delay := a.delay
	switch end {
	case endNothing:
		a.handOnNothing()
		return
	case endForeign:
		delay = a.w.cfg.Lease.TTL
	case endDrained, endHalted, endNotOver: // at once, except after a release without an answer
	case endBackoff, endKept, endElsewhere, endFailed, endLost, goOn:
	}
	if a.hint.open() {
		a.hint.nak(delay)
		return
	}
	_, knocked := a.lease.Knocks()
	seq := max(knocked, a.snap.Begins.Seq, a.looked)
	if end == endNotOver && knocked == 0 {
		return // the sweeper leaves a session as it found it
	}
	wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTimeout)
	defer cancel()
	if err := a.w.q.Wake(wctx, a.session, seq); err != nil && !errors.Is(err, context.Canceled) {
		a.log.WithError(err).Warn("nobody could be told of the work that is left; its own delivery comes again after the busy delay")
	}
}

// handOnNothing settles the hint of a session that has nothing left: its message
// is gone, or is not this session's business.
func (a *adoption) handOnNothing() {
	switch {
	case !a.hint.open():
	case a.hint.Wake, a.hint.Seq <= a.snap.Done.Seq, a.hint.Seq == a.gone:
		a.hint.ack()
	default:
		a.hint.nak(0)
	}
}
