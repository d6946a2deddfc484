package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"curfew/queue"
	"curfew/registry"
)

// ending is how an adoption's work ends, and so how the session is left.
type ending int

const (
	goOn         ending = iota
	endNothing          // no job is waiting
	endBackoff          // the head waits for its next attempt
	endDrained          // the worker drains; work is left
	endKept             // the session is paused, or its agent is: work is left for an order
	endHalted           // the fleet is halted: work is left
	endElsewhere        // another worker may be able to run the head
	endForeign          // another holder's run stays open in the record
	endNotOver          // adopted to be buried, but its wall clock is not over
	endFailed           // gave up: the requests got no answer
	endLost             // the lease is gone
)

// turn is one look at the session and the one step that follows from it.
func (a *adoption) turn(ctx context.Context, heard *hearing) (ending, error) {
	switch halted := a.w.brake.isOn(); {
	case halted && a.buryOnly:
		return a.endIn(endNotOver, 0), nil
	case halted:
		return a.endIn(endHalted, 0), nil
	}
	head, err := a.head(ctx, heard)
	if err != nil {
		return goOn, err
	}
	if a.snap.Revision == 0 && head == nil {
		return a.nothing(ctx)
	}
	job, invalid := parse(head)
	rec, now := a.based(head, job), a.now()
	switch {
	case rec.Over(now):
		return a.bury(ctx, rec, head)
	case a.buryOnly:
		return a.endIn(endNotOver, 0), nil
	case head == nil:
		return a.nothing(ctx)
	case rec.IsRejected(head.Seq):
		return a.finishWithout(ctx, rec, head, job, Rejected, true, "a run of the session was live when it arrived")
	case head.Seq < rec.ReplaceSeq:
		return a.finishWithout(ctx, rec, head, job, Replaced, false, "a newer job replaced it")
	case stoppedDead(rec, head):
		return a.finishWithout(ctx, rec, head, job, Stopped, false, "its run was stopped by order; its worker died before")
	case invalid != nil:
		return a.finishWithout(ctx, rec, head, job, Invalid, true, invalid.Error())
	case rec.Paused != nil:
		return a.endIn(endKept, time.Minute), nil
	case rec.BackingOff(now):
		return a.endIn(endBackoff, rec.NotBefore.Sub(now)), nil
	}
	if done, err := a.dropRejected(ctx); err != nil || !done {
		return goOn, err
	}
	if !a.nothingNew(heard) {
		if err := a.lookPast(ctx, head.Seq, false, heard); err != nil {
			return goOn, err
		}
	}
	if head.Seq < max(a.snap.ReplaceSeq, a.replacing) {
		return goOn, nil
	}
	if a.w.isDraining() || a.w.refusal.Load() != nil { // one that refuses jobs buries no more of them either
		return a.endIn(endDrained, 0), nil
	}
	return a.begun(ctx, head, job, heard)
}

// stoppedDead says that the head's run, which nobody closed, was ordered to stop:
// the job must not run again.
func stoppedDead(rec registry.Record, head *queue.Message) bool {
	return rec.Run != nil && rec.Run.Seq == head.Seq && rec.Stop != nil && rec.Stop.RunKey == rec.Run.RunKey
}

// now is the time that decides what has expired: as acquire answered it for the
// first look, carried on from there for later ones.
func (a *adoption) now() time.Time {
	now := a.lease.Now()
	if a.lookedAt.IsZero() {
		now = a.lease.Granted()
	}
	a.lookedAt = now
	return now
}

func (a *adoption) endIn(e ending, delay time.Duration) ending {
	a.delay = delay
	return e
}

func parse(m *queue.Message) (queue.Job, error) {
	if m == nil {
		return queue.Job{}, nil
	}
	return queue.ParseJob(m)
}

func markOf(m *queue.Message) registry.Mark {
	if m == nil {
		return registry.Mark{}
	}
	return registry.Mark{Seq: m.Seq, Time: m.Time}
}

// head is the session's first unfinished job, nil when there is none. A
// finished one whose message is still there may lack its effects: they are done
// again, from the record and never from memory, before anything else.
func (a *adoption) head(ctx context.Context, heard *hearing) (*queue.Message, error) {
	if a.from > a.looked && a.nothingNew(heard) {
		return nil, nil //nolint:nilnil // none, and it took no reading to know
	}
	for {
		m, err := a.next(ctx, a.from)
		if err != nil {
			return nil, err
		}
		rec, anew := a.snap.Anew(string(a.w.q.Identity()), markOf(m))
		if anew {
			a.log.WithField("done", a.snap.Done.Seq).Warn("the jobs stream was made anew or restored: this session's counters start again")
			a.from, a.looked, a.seen, a.replacing = 0, 0, sight{}, 0
		}
		a.snap.Record = rec
		if anew {
			continue // m was looked for behind the old stream's mark
		}
		if m == nil || !rec.IsDone(markOf(m)) {
			return m, nil
		}
		if last := rec.Last; last != nil && last.Seq == m.Seq && !plantedEffects() {
			a.log.WithField("seq", m.Seq).Info("a finished job is still in the stream: finishing its effects")
			if err := a.effects(ctx, m, true); err != nil {
				return nil, err
			}
		} else if err := a.remove(ctx, m); err != nil {
			return nil, err
		}
		a.from = m.Seq + 1
	}
}

// next is the session's first message at or after from, nil when there is none.
func (a *adoption) next(ctx context.Context, from uint64) (m *queue.Message, err error) {
	err = a.try(ctx, "look for the next job", func(ctx context.Context) error {
		m, err = a.w.q.Head(ctx, a.session, max(from, 1))
		if errors.Is(err, queue.ErrNoMessage) {
			m, err = nil, nil
		}
		return err
	})
	return m, err
}

// nothing ends the adoption of a session without a head, unless a message is
// known to be there: then the read was stale.
func (a *adoption) nothing(ctx context.Context) (ending, error) {
	_, knocked := a.lease.Knocks()
	known := []uint64{knocked}
	if own := a.hint.knownSeq(); a.hint.open() && own != knocked {
		known = append(known, own) // it is acknowledged only when its very own message is gone
	}
	for _, seq := range known {
		if seq <= a.snap.Done.Seq {
			continue
		}
		m, err := a.known(ctx, seq)
		if err != nil {
			return goOn, err
		}
		if m == nil {
			a.gone = seq
			continue
		}
		if a.stale++; a.stale > 5 {
			return a.endIn(endElsewhere, time.Second), nil
		}
		a.from = 0
		return goOn, nil
	}
	a.lease.LowerKnockSeq(a.snap.Done.Seq)
	return endNothing, nil
}

// based is the record with what a session without one gets from its first job.
// The session may become older until its first run is opened, never younger.
func (a *adoption) based(head *queue.Message, job queue.Job) registry.Record {
	rec := a.snap.Record
	rec.ReplaceSeq = max(rec.ReplaceSeq, a.replacing)
	if head == nil || rec.Agent != "" && a.snap.Revision != 0 {
		return rec
	}
	if a.snap.Revision == 0 {
		rec.CreatedAt = a.lease.Now()
		rec.MaxAgeMS = a.w.cfg.maxAgeOf(agentOf(rec, job)).Milliseconds()
	}
	for _, t := range []time.Time{head.Time, job.CreatedAt} {
		if !t.IsZero() && t.Before(rec.CreatedAt) {
			rec.CreatedAt = t.UTC()
		}
	}
	return rec
}

// agentOf names the agent of a job: its own word, the session's, or the default.
func agentOf(rec registry.Record, job queue.Job) string {
	switch {
	case job.Agent != "":
		return job.Agent
	case rec.Agent != "":
		return rec.Agent
	default:
		return "default"
	}
}

// finishWithout ends a job that gets no run (any more): one compare-and-set,
// then its effects.
func (a *adoption) finishWithout(ctx context.Context, rec registry.Record, m *queue.Message, job queue.Job, o Outcome, bury bool, reason string) (ending, error) {
	if err := a.superseding(); err != nil {
		return goOn, err
	}
	attempt := 0
	if rec.Begins.Seq == m.Seq {
		attempt = rec.Begins.Count
	}
	f := registry.Finished{
		RunKey: registry.RunKey{Token: a.token, Seq: m.Seq, Attempt: attempt},
		Job:    job.ID, Time: m.Time, Outcome: string(o), Reason: reason, Buried: bury,
		Agent: agentOf(rec, job), Worker: a.w.cfg.ID, At: a.lease.Now(),
	}
	a.log.WithField("seq", m.Seq).WithField("job", job.ID).WithField("outcome", o).Warn(fmt.Sprintf("a job ends without a run: %q", reason))
	if err := a.commit(ctx, rec.Finish(f)); err != nil {
		return goOn, err
	}
	a.w.observe.JobEnded(f.Agent, o)
	// A rejected one may have been buried by a holder that died before it was removed.
	return goOn, a.effects(ctx, m, o == Rejected)
}

// superseding refuses to go over a run that another holder has open, except the
// one whose lease was surely over when this one was granted.
func (a *adoption) superseding() error {
	if r := a.snap.Run; r != nil && r.Token != a.token && r.Token != a.told {
		return errForeign
	}
	return nil
}
