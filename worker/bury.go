package worker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"curfew/queue"
	"curfew/registry"
)

// bury ends an over session: the tombstone first, by a compare-and-set that also
// supersedes a run left open, then a dead letter and a final event for each
// waiting job and its removal, then one event for the session. Killed anywhere,
// the next round ends it the same.
func (a *adoption) bury(ctx context.Context, rec registry.Record, head *queue.Message) (ending, error) {
	if rec.Tombstone == nil || rec.Run != nil {
		if err := a.superseding(); err != nil {
			return goOn, err
		}
		if err := a.commit(ctx, rec.Bury(registry.WhyExpired, a.lease.Now())); err != nil {
			return goOn, err
		}
		a.ended = rec.Tombstone == nil
		reached(stepTombstone)
		a.log.WithField("why", string(a.snap.Tombstone.Why)).WithField("created_at", a.snap.CreatedAt.Format(time.RFC3339)).
			Warn("the session is over: its jobs become dead letters")
	}
	if head != nil {
		return goOn, a.buryWaiting(ctx, head)
	}
	if !a.snap.Tombstone.Announced {
		if err := a.announce(ctx); err != nil {
			return goOn, err
		}
	}
	return a.nothing(ctx)
}

// buryWaiting buries and removes every job from head on. One by one: a purge of
// their subject would be one request, and nats-server forgets deliveries of other
// sessions over it (docs/decisions.md, 12).
func (a *adoption) buryWaiting(ctx context.Context, head *queue.Message) error {
	for m := head; m != nil; {
		if a.pace != nil && m != head {
			if err := a.pace.Wait(ctx); err != nil {
				return fmt.Errorf("bury the session's jobs: %w", err)
			}
		}
		outcome, err := a.buryOne(ctx, m)
		if err != nil {
			return err
		}
		if err := a.remove(ctx, m); err != nil {
			return err
		}
		if outcome != Rejected { // that one would have been buried in any case
			a.w.observe.JobsPurged(1)
			a.swept++
		}
		next, err := a.next(ctx, m.Seq+1)
		if err != nil {
			return err
		}
		m = next
	}
	return nil
}

// buryOne makes one waiting job a dead letter with a final event, where an
// earlier round has not done so, and answers how it ended.
func (a *adoption) buryOne(ctx context.Context, m *queue.Message) (Outcome, error) {
	job, _ := parse(m)
	f := registry.Finished{
		RunKey: registry.RunKey{Seq: m.Seq}, Job: job.ID, Time: m.Time, Agent: agentOf(a.snap.Record, job),
		Worker: a.w.cfg.ID, At: a.lease.Now(), Buried: true,
		Outcome: string(Expired), Reason: a.overReason(),
	}
	if a.snap.Begins.Seq == m.Seq {
		f.Attempt = a.snap.Begins.Count
	}
	switch {
	case a.snap.IsRejected(m.Seq):
		f.Outcome, f.Reason = string(Rejected), "a run of the session was live when it arrived"
	case a.snap.Tombstone.Why == registry.WhyCancelled:
		f.Outcome = string(Cancelled)
	}
	err := a.send(ctx, "bury a waiting job", func(ctx context.Context) error {
		return a.w.q.Bury(ctx, m, letterOf(f), true)
	})
	if err != nil {
		return "", err
	}
	reached(stepDeadLetter)
	err = a.send(ctx, "publish the final event", func(ctx context.Context) error {
		return a.w.q.Final(ctx, m, a.eventOf(f), true)
	})
	if err != nil {
		return "", err
	}
	reached(stepEvent)
	a.w.observe.JobEnded(f.Agent, Outcome(f.Outcome))
	return Outcome(f.Outcome), nil
}

func (a *adoption) overReason() string {
	t := a.snap.Tombstone
	if t.Why == registry.WhyCancelled {
		if t.Reason != "" {
			return "the session was cancelled: " + t.Reason
		}
		return "the session was cancelled"
	}
	return fmt.Sprintf("the session's wall clock of %s ended at %s", a.snap.MaxAge(), a.snap.Curfew().Format(time.RFC3339))
}

// announce publishes the session's own last event, once, and notes it.
func (a *adoption) announce(ctx context.Context) error {
	t := *a.snap.Tombstone
	purged, err := a.purged(ctx)
	if err != nil {
		return err
	}
	e := queue.Event{
		Type: string(t.Why), Session: a.session, Agent: a.snap.Agent, Worker: a.w.cfg.ID,
		At: a.lease.Now(), Reason: a.overReason(), Purged: purged,
	}
	id := "over:" + a.session + ":" + strconv.FormatInt(t.At.UnixMilli(), 10)
	err = a.send(ctx, "announce the end of the session", func(ctx context.Context) error { return a.w.q.Announce(ctx, id, e) })
	if err != nil {
		return err
	}
	reached(stepAnnounce)
	err = a.change(ctx, func(rec registry.Record) registry.Record { return rec.Announced(purged) })
	a.announced = err == nil
	return err
}

// purged is how many waiting jobs ended with the session. Where another one began
// to bury them, their letters tell.
func (a *adoption) purged(ctx context.Context) (n uint64, err error) {
	if a.ended {
		return a.swept, nil
	}
	err = a.try(ctx, "count the jobs that ended with the session", func(ctx context.Context) error {
		n = 0
		filter := queue.DeadFilter{Session: a.session, Since: a.snap.Tombstone.At.Add(-time.Hour)} // clocks differ
		return a.w.q.DeadLetters(ctx, filter, func(d queue.DeadLetter) error {
			if d.JobSeq > a.snap.Done.Seq && Outcome(d.Outcome) != Rejected {
				n++
			}
			return nil
		})
	})
	return n, err
}
