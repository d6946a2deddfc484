package worker

import (
	"context"
	"time"
)

// stopLead is how long before the end of the trust window a run is asked to
// stop, so that it may end by itself before it is killed. Short leases shorten it.
func (w *Worker) stopLead() time.Duration {
	return min(2*time.Second, (w.cfg.Lease.TTL-w.cfg.Lease.Margin)/6)
}

// watch waits for the end of the subprocess and stops it when one of its limits
// comes first. It asks no server anything, so no outage can hold it up: what has
// to be read or written while the run is live is the listener's business.
func (a *adoption) watch(ctx context.Context, t *task, run *liveRun, heard *hearing) {
	listening, stopListening := context.WithCancel(ctx)
	orders := make(chan error)      // sent by the listener until listening ends
	curfews := make(chan time.Time) // the same: the record's curfew moved
	listened := make(chan struct{})
	// The listener owns the record until it has ended: what is needed of it is taken now.
	created, curfew := a.snap.CreatedAt, a.snap.Curfew()
	go func() {
		defer close(listened)
		a.listen(listening, t, run, heard, orders, func(c time.Time) {
			select {
			case curfews <- c:
			case <-listening.Done():
			}
		})
	}()
	defer func() { stopListening(); <-listened }()

	clocks := a.clocksOf(t)
	defer clocks.stop()
	lost, stopRuns, halted := ctx.Done(), a.w.stopRuns, a.w.brake.halted()
	for {
		select {
		case <-run.proc.Done():
			return
		case <-lost:
			lost = nil
			run.proc.Kill(errLost)
		case <-stopRuns:
			stopRuns = nil
			run.proc.Stop(because(IntentDraining, ""))
		case <-halted:
			halted = nil
			a.w.brake.noteStopped()
			run.proc.Stop(because(IntentHalted, a.w.brake.state().Reason))
		case cause := <-orders:
			run.proc.Stop(cause)
		case curfew = <-curfews:
			clocks.untilCurfew(a, curfew)
		case <-clocks.curfew.C:
			if clocks.untilCurfew(a, curfew) <= 0 {
				run.proc.Stop(because(IntentExpired, "it began at "+created.Format(time.RFC3339)))
			}
		case <-clocks.timeout:
			run.proc.Stop(because(IntentTimeout, clocks.limit.String()))
		case <-a.lease.Renewed():
			a.guard(run)
		case <-clocks.trust.C:
			if clocks.untilDistrust(a) <= 0 {
				run.proc.Stop(errLost)
			}
		case <-clocks.quiet:
			if cause := clocks.quietAt(t, run); cause != nil {
				run.proc.Stop(cause)
			}
		}
	}
}

// clocks are the limits of one run.
type clocks struct {
	curfew  *time.Timer
	trust   *time.Timer
	timeout <-chan time.Time // nil: no limit
	limit   time.Duration
	quiet   <-chan time.Time // nil: no limit
	ticker  *time.Ticker
	timer   *time.Timer
}

func (a *adoption) clocksOf(t *task) *clocks {
	// Both timers fire at once and set themselves then.
	c := &clocks{curfew: time.NewTimer(0), trust: time.NewTimer(0)}
	if c.limit = shortest(t.job.Timeout, t.agent.Timeout); c.limit > 0 {
		c.timer = time.NewTimer(c.limit)
		c.timeout = c.timer.C
	}
	if every := shortest(t.agent.FirstOutputTimeout, t.agent.IdleTimeout); every > 0 {
		c.ticker = time.NewTicker(max(every/10, 10*time.Millisecond))
		c.quiet = c.ticker.C
	}
	return c
}

func (c *clocks) stop() {
	c.curfew.Stop()
	c.trust.Stop()
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.ticker != nil {
		c.ticker.Stop()
	}
}

// clockCheck is how often a long timer is compared with the clocks that do not
// stop while a machine sleeps.
const clockCheck = 10 * time.Second

// untilCurfew answers how far away the first moment past the curfew is, and sets
// its timer where it is still to come.
func (c *clocks) untilCurfew(a *adoption, curfew time.Time) time.Duration {
	return rearm(c.curfew, curfew.Sub(a.lease.Now())+time.Millisecond)
}

// untilDistrust answers how far away the moment is at which the run must be
// asked to stop unless the lease is renewed, and sets its timer as well.
func (c *clocks) untilDistrust(a *adoption) time.Duration {
	return rearm(c.trust, a.lease.TrustLeft()-a.w.stopLead())
}

// rearm sets the timer to what is left, where something is.
func rearm(t *time.Timer, left time.Duration) time.Duration {
	if left > 0 {
		t.Reset(min(left, clockCheck))
	}
	return left
}

// quietAt answers the cause to stop a run that prints nothing, nil when there is none.
func (c *clocks) quietAt(t *task, run *liveRun) error {
	last := run.out.last.Load()
	limit, since, what := t.agent.IdleTimeout, time.Unix(0, last), "no output for "
	if last == 0 {
		since = run.started
		if t.agent.FirstOutputTimeout > 0 {
			limit, what = t.agent.FirstOutputTimeout, "no first output within "
		}
	}
	if limit > 0 && time.Since(since) > limit {
		return because(IntentIdle, what+limit.String())
	}
	return nil
}

// shortest is the smaller of two limits, of which 0 means none.
func shortest(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}
