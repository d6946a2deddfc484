package worker

import (
	"context"
	"strconv"

	"curfew/queue"
	"curfew/registry"
)

// effects make a finished job visible, then remove it: dead letter, final event,
// removal, in this order and from the record's `last`, so that whoever comes
// after a crash in between can do them again. again: they may have been done.
func (a *adoption) effects(ctx context.Context, m *queue.Message, again bool) error {
	last := *a.snap.Last
	if last.Buried {
		err := a.sendOnce(ctx, "bury a job", again, func(ctx context.Context, again bool) error {
			return a.w.q.Bury(ctx, m, letterOf(last), again)
		})
		if err != nil {
			return err
		}
		reached(stepDeadLetter)
	}
	err := a.sendOnce(ctx, "publish the final event", again, func(ctx context.Context, again bool) error {
		return a.w.q.Final(ctx, m, a.eventOf(last), again)
	})
	if err != nil {
		return err
	}
	reached(stepEvent)
	return a.remove(ctx, m)
}

// send does one effect, again until it is done or the lease is lost.
func (a *adoption) send(ctx context.Context, what string, op func(context.Context) error) error {
	return a.try(ctx, what, func(ctx context.Context) error {
		if err := a.trusted(ctx); err != nil {
			return err
		}
		return op(ctx)
	}, errLost)
}

// sendOnce does an effect that must not be seen twice. One that got no answer may
// have been done, and the next try may come after the duplicate window: it looks.
func (a *adoption) sendOnce(ctx context.Context, what string, again bool, op func(ctx context.Context, again bool) error) error {
	return a.send(ctx, what, func(ctx context.Context) error {
		err := op(ctx, again)
		again = true
		return err
	})
}

// remove takes a finished job out of the stream, with its delivery where this
// worker holds it.
func (a *adoption) remove(ctx context.Context, m *queue.Message) error {
	err := a.send(ctx, "remove a finished job", func(ctx context.Context) error { return a.w.q.Remove(ctx, m) })
	if err != nil {
		return err
	}
	reached(stepRemove)
	a.removed(m.Seq)
	return nil
}

// removed: the message is gone, so its delivery, where it is the hint, is settled.
func (a *adoption) removed(through uint64) {
	a.from = max(a.from, through+1)
	if a.hint.open() && !a.hint.Wake && a.hint.Seq <= through {
		a.hint.ack()
	}
}

func letterOf(f registry.Finished) queue.Letter {
	l := queue.Letter{Job: f.Job, Outcome: f.Outcome, Reason: f.Outcome, Attempts: f.Attempt, Stderr: f.Stderr}
	if !plainReason[Outcome(f.Outcome)] && f.Reason != "" {
		l.Reason += ": " + f.Reason
	}
	if f.Exit != nil {
		l.Exit = f.Exit.Signal
		if f.Exit.Code != nil {
			l.Exit = strconv.Itoa(*f.Exit.Code)
		}
	}
	return l
}

// plainReason are the outcomes whose dead letters say one word: everything else
// that could be said is true of all of them.
//
//nolint:gochecknoglobals // a table
var plainReason = map[Outcome]bool{Expired: true, Cancelled: true, Rejected: true}

// eventOf is the final event of a finished job.
func (a *adoption) eventOf(f registry.Finished) queue.Event {
	e := queue.Event{
		Type: "finished", Final: true, Session: a.session, Seq: f.Seq, Job: f.Job, Agent: f.Agent,
		Attempt: f.Attempt, Fence: f.Fence, Worker: f.Worker, At: f.At, Outcome: f.Outcome, Reason: f.Reason,
	}
	if f.Exit != nil {
		e.Exit = &queue.EventExit{Code: f.Exit.Code, Signal: f.Exit.Signal}
	}
	if f.Result != "" || f.ResultTruncated {
		e.Result = &queue.EventResult{Text: f.Result, Truncated: f.ResultTruncated}
	}
	if f.Usage != nil {
		e.Usage = &queue.EventUsage{CostUSD: f.Usage.CostUSD, InputTokens: f.Usage.InputTokens, OutputTokens: f.Usage.OutputTokens}
	}
	return e
}
