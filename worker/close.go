package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"curfew/queue"
	"curfew/registry"
)

// keptFor is how long a job rests whose agent asked to be suspended.
const keptFor = time.Minute

// settle closes the run as the table says, then does what follows from it.
// Others may have written orders meanwhile: they stay, it is settled again on
// top of them.
func (a *adoption) settle(ctx context.Context, t *task, s Settlement, run *liveRun) (ending, error) {
	for {
		s = a.heeding(t, s)
		end, err := a.settleOnce(ctx, t, s, run)
		if !errors.Is(err, errAgain) {
			return end, err
		}
	}
}

// heeding is the settlement of a run that somebody ordered to stop while it was
// ending for another reason: its job must not run again.
func (a *adoption) heeding(t *task, s Settlement) Settlement {
	stop := a.snap.Stop
	stays := s.Fate == FateRetry || s.Fate == FateHandBack || s.Fate == FateKeep
	if !stays || stop == nil || stop.RunKey != t.key {
		return s
	}
	return Settle(Ending{Intent: IntentStopped, Reason: stop.Reason})
}

func (a *adoption) settleOnce(ctx context.Context, t *task, s Settlement, run *liveRun) (ending, error) {
	if s.Fate == FateNothing {
		return endLost, nil
	}
	f := a.finished(t, s, run)
	delay := time.Duration(0)
	var change func(registry.Record) registry.Record
	switch s.Fate {
	case FateDone, FateBury:
		change = func(rec registry.Record) registry.Record {
			rec = rec.Finish(f)
			rec.Succeeded = rec.Succeeded || s.Outcome == Succeeded
			return rec
		}
	case FateRetry:
		delay = Backoff(a.snap.Failures+1, a.w.cfg.Backoff, a.w.cfg.MaxBackoff, rand.Float64()) //nolint:gosec // jitter
		until := a.lease.Now().Add(delay)
		change = func(rec registry.Record) registry.Record { return rec.Retry(t.key, until) }
	case FateHandBack:
		if s.Refund { // the host cannot start anything now: not at once again
			delay = time.Second
		}
		change = func(rec registry.Record) registry.Record { return rec.HandBack(t.key, s.Refund) }
	case FateKeep:
		if s.Halted {
			change = func(rec registry.Record) registry.Record { return rec.HandBack(t.key, s.Refund) }
			break
		}
		delay = keptFor
		until := a.lease.Now().Add(delay)
		change = func(rec registry.Record) registry.Record {
			rec = rec.HandBack(t.key, s.Refund)
			rec.NotBefore = until
			return rec
		}
	case FateNothing:
	}
	if err := a.close(ctx, t, change); err != nil {
		return goOn, err
	}
	a.lease.SetRunOpen(false)
	reached(stepClose)
	a.noteHealth(t, s)
	if f.Usage != nil && f.Usage.CostUSD > 0 {
		a.w.observe.Spent(t.agent.Name, f.Usage.CostUSD)
	}
	switch s.Fate {
	case FateDone, FateBury:
		a.w.observe.JobEnded(t.agent.Name, s.Outcome)
		return goOn, a.effects(ctx, t.msg, false)
	case FateRetry:
		a.w.q.Emit(a.retrying(t, f, delay))
		return a.waitOrReplace(t, delay), nil
	case FateHandBack:
		a.w.q.Emit(a.notFinal(t, f))
		if delay > 0 {
			return a.endIn(endElsewhere, delay), nil
		}
		return a.endIn(endDrained, 0), nil
	case FateKeep:
		a.w.q.Emit(a.notFinal(t, f))
		if s.Halted {
			return a.endIn(endHalted, 0), nil
		}
		return a.waitOrReplace(t, delay), nil
	case FateNothing:
	}
	return endLost, nil
}

// waitOrReplace leaves a job to its backoff, except where a newer one that came
// while it was ending replaces it: that one has been refused and put off.
func (a *adoption) waitOrReplace(t *task, delay time.Duration) ending {
	if a.snap.ReplaceSeq > t.key.Seq {
		return goOn
	}
	return a.endIn(endBackoff, delay)
}

// close writes the end of the run, once; errAgain when the record changed. It is
// done when the record names this very run as closed, and lost when the run is
// not open any more.
func (a *adoption) close(ctx context.Context, t *task, change func(registry.Record) registry.Record) error {
	if a.snap.Run == nil || a.snap.Run.RunKey != t.key {
		if c := a.snap.Closed; c != nil && *c == t.key {
			return nil
		}
		return errLost
	}
	return a.commit(ctx, change(a.snap.Record))
}

// finished is how the run ended, as the record, the final event and a dead
// letter say it.
func (a *adoption) finished(t *task, s Settlement, run *liveRun) registry.Finished {
	f := registry.Finished{
		RunKey: t.key, Job: t.job.ID, Time: t.msg.Time, Outcome: string(s.Outcome), Reason: s.Reason,
		Buried: s.Fate == FateBury, Agent: t.agent.Name, Worker: a.w.cfg.ID, Fence: t.fence, At: a.lease.Now(),
	}
	if run == nil {
		return f
	}
	exit, verdict := run.proc.Exit(), run.out.verdict()
	f.Exit = exitOf(exit.Code, exit.Signal)
	f.Result, f.ResultTruncated = verdict.Result, verdict.ResultTruncated
	if verdict.CostUSD != 0 || verdict.In != 0 || verdict.Out != 0 {
		f.Usage = &registry.Usage{CostUSD: verdict.CostUSD, InputTokens: verdict.In, OutputTokens: verdict.Out}
	}
	if f.Buried {
		f.Stderr = run.proc.StderrTail()
	}
	return f
}

// notFinal is the event of a run whose job stays.
func (a *adoption) notFinal(t *task, f registry.Finished) queue.Event {
	e := a.eventOf(f)
	e.Final, e.Seq, e.Attempt = false, t.key.Seq, t.key.Attempt
	return e
}

func (a *adoption) retrying(t *task, f registry.Finished, delay time.Duration) queue.Event {
	e := a.notFinal(t, f)
	e.Type, e.RetryInMS = "retrying", delay.Milliseconds()
	return e
}

// noteHealth stops a worker from burying one job after the other for a program
// that is not there.
func (a *adoption) noteHealth(t *task, s Settlement) {
	name := t.agent.Name
	if n := a.w.agents.note(name, s.Outcome); n >= misconfiguredLimit {
		a.w.refuse(fmt.Sprintf("the last %d runs of agent %q ended as misconfigured (%s): correct the agent's command and restart this worker", n, name, s.Reason))
	}
}

// refuse stops taking jobs and says why, until the worker is told to go.
func (w *Worker) refuse(why string) {
	if !w.refusal.CompareAndSwap(nil, &why) {
		return
	}
	w.log.Error("this worker takes no more jobs: " + why)
	if h := w.hints.Load(); h != nil {
		h.Drain()
	}
}
