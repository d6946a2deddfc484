package worker

import (
	"context"
	"errors"

	"curfew/queue"
	"curfew/registry"
)

// reject buries a job that may not wait: the mark in the record first, so that
// nobody runs it after a crash in between, then letter, event and removal, then
// the mark again.
func (a *adoption) reject(ctx context.Context, m *queue.Message, job queue.Job) error {
	err := a.change(ctx, func(rec registry.Record) registry.Record { return rec.Reject(m.Seq) })
	if err != nil {
		return err
	}
	if err := a.buryRejected(ctx, m, job, false); err != nil {
		return err
	}
	return a.change(ctx, func(rec registry.Record) registry.Record { return rec.Unreject(m.Seq) })
}

// buryRejected does the effects of a rejected job that is not the head.
func (a *adoption) buryRejected(ctx context.Context, m *queue.Message, job queue.Job, again bool) error {
	f := registry.Finished{
		RunKey: registry.RunKey{Seq: m.Seq}, Job: job.ID, Time: m.Time, Agent: agentOf(a.snap.Record, job),
		Worker: a.w.cfg.ID, At: a.lease.Now(), Buried: true,
		Outcome: string(Rejected), Reason: "a run of the session was live when it arrived",
	}
	a.log.WithField("seq", m.Seq).WithField("job", job.ID).Info("a job was rejected: a run of its session is live")
	err := a.sendOnce(ctx, "bury a rejected job", again, func(ctx context.Context, again bool) error {
		return a.w.q.Bury(ctx, m, letterOf(f), again)
	})
	if err != nil {
		return err
	}
	err = a.sendOnce(ctx, "publish the final event", again, func(ctx context.Context, again bool) error {
		return a.w.q.Final(ctx, m, a.eventOf(f), again)
	})
	if err != nil {
		return err
	}
	err = a.send(ctx, "remove a rejected job", func(ctx context.Context) error { return a.w.q.Remove(ctx, m) })
	if err == nil {
		a.w.observe.JobEnded(f.Agent, Rejected)
	}
	return err
}

// dropRejected finishes what a holder that died left of rejected jobs. It
// answers false when the record changed: look again.
func (a *adoption) dropRejected(ctx context.Context) (settled bool, err error) {
	if len(a.snap.Rejected) == 0 {
		return true, nil
	}
	for _, seq := range a.snap.Rejected {
		m, err := a.known(ctx, seq)
		if err != nil {
			return false, err
		}
		if m != nil {
			job, _ := parse(m)
			if err := a.buryRejected(ctx, m, job, true); err != nil {
				return false, err
			}
		}
	}
	return false, a.change(ctx, func(rec registry.Record) registry.Record {
		rec.Rejected = nil
		return rec
	})
}

// known is the session's job with the given sequence, nil when it is gone.
func (a *adoption) known(ctx context.Context, seq uint64) (m *queue.Message, err error) {
	err = a.try(ctx, "ask for a known job", func(ctx context.Context) error {
		m, err = a.w.q.Get(ctx, seq)
		if errors.Is(err, queue.ErrNoMessage) {
			m, err = nil, nil
		}
		return err
	})
	if m != nil && (m.Wake || m.Session != a.session) {
		m = nil
	}
	return m, err
}

// change writes a change of the record that does not depend on what others
// write, as often as it takes.
func (a *adoption) change(ctx context.Context, f func(registry.Record) registry.Record) error {
	for {
		if err := a.superseding(); err != nil {
			return err
		}
		err := a.commit(ctx, f(a.snap.Record))
		if !errors.Is(err, errAgain) {
			return err
		}
	}
}
