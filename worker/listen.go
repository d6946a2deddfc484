package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"curfew/queue"
	"curfew/registry"
)

// hearing is what an adoption hears of its session: jobs that were published,
// and nudges that its record was changed. Both are only news.
type hearing struct {
	arrived chan struct{} // one value at most; sent by the stream's subscription
	nudged  chan struct{} // one value at most; sent by the worker's ears
	deaf    bool          // the subscription failed
	count   atomic.Uint64 // arrivals so far
}

// sight is what was heard by the time the stream was last seen to its end.
type sight struct {
	whole bool   // it was seen to its end
	epoch uint64 // of the stream then
	count uint64 // arrivals heard before
}

// sight answers what has been heard by now; taken before looking.
func (a *adoption) sightNow(h *hearing) sight {
	if h == nil || h.deaf {
		return sight{}
	}
	return sight{whole: true, epoch: a.w.q.Epoch(), count: h.count.Load()}
}

// nothingNew says that the stream was seen to its end and that no job of the
// session has been heard of since. One that was missed (the subscription is only
// news) knocks, or is found at the next tick.
func (a *adoption) nothingNew(h *hearing) bool {
	return a.seen.whole && a.seen == a.sightNow(h)
}

// hear begins to listen for the session's news. The answer is usable, though
// deaf for new jobs, also with an error.
func (a *adoption) hear() (*hearing, func(), error) {
	nudged, stopNudges := a.w.ears.listen(a.session)
	h := &hearing{arrived: make(chan struct{}, 1), nudged: nudged}
	stopArrivals, err := a.w.q.Arrivals(a.session, func() { h.count.Add(1); poke(h.arrived) })
	if err != nil {
		h.deaf = true
		return h, stopNudges, err
	}
	return h, func() { stopArrivals(); stopNudges() }, nil
}

// pidAfter is how long a run lives before its pid is written into the record: a
// short one is over before anybody could look.
const pidAfter = 200 * time.Millisecond

// listen follows orders and new jobs while a run is live, until ctx ends. It
// hands the causes to stop the run to orders and a moved curfew to moved. What
// is not heard is found at the next tick, which comes with each renewal.
func (a *adoption) listen(ctx context.Context, t *task, run *liveRun, heard *hearing, orders chan<- error, moved func(time.Time)) {
	tick := time.NewTicker(a.w.cfg.Lease.Renew)
	defer tick.Stop()
	pid := time.NewTimer(pidAfter)
	defer pid.Stop()
	curfew := a.snap.Curfew()
	for {
		arrivals, err := true, error(nil)
		select {
		case <-ctx.Done():
			return
		case <-pid.C:
			err = a.notePID(ctx, t, run.proc.PID())
			arrivals = false
		case <-heard.nudged:
			err = a.read(ctx)
			arrivals = false
		case <-heard.arrived:
		case <-tick.C:
			err = a.read(ctx)
		}
		if err == nil && arrivals {
			err = a.lookPast(ctx, t.key.Seq, true, heard)
		}
		if err != nil && !errors.Is(err, errAgain) {
			if ctx.Err() != nil {
				return
			}
			a.log.WithError(err).Warn("looking for orders failed")
		}
		if now := a.snap.Curfew(); !now.Equal(curfew) {
			curfew = now
			moved(now)
		}
		cause := a.orderFor(t)
		if cause == nil && err == nil {
			if err := a.warn(ctx, t); err != nil && ctx.Err() == nil {
				a.log.WithError(err).Warn("the session could not be warned of its curfew, trying again at the next renewal")
			}
			cause = a.orderFor(t) // the record may have been read again
		}
		if cause != nil {
			select {
			case orders <- cause:
			case <-ctx.Done():
				return
			}
		}
	}
}

// orderFor answers the cause to stop the run that the record holds, nil for none.
func (a *adoption) orderFor(t *task) error {
	switch s := a.snap; {
	case s.Run == nil || s.Run.RunKey != t.key:
		// Another holder superseded this run: the lease was over without this
		// worker knowing, so nothing of it counts any more.
		return errLost
	case s.Tombstone != nil && s.Tombstone.Why == registry.WhyCancelled:
		return because(IntentCancelled, s.Tombstone.Reason)
	case s.Tombstone != nil:
		return because(IntentExpired, "")
	case s.Stop != nil && s.Stop.RunKey == t.key:
		return because(IntentStopped, s.Stop.Reason)
	case s.ReplaceSeq > t.key.Seq:
		return because(IntentReplaced, fmt.Sprintf("by the job at sequence %d", s.ReplaceSeq))
	}
	return nil
}

// notePID writes the pid of the live run into the record, for people to read.
func (a *adoption) notePID(ctx context.Context, t *task, pid int) error {
	rec := a.snap.Record
	if rec.Run == nil || rec.Run.RunKey != t.key {
		return nil
	}
	run := *rec.Run
	run.PID = pid
	rec.Run = &run
	return a.commit(ctx, rec)
}

// lookPast looks at the jobs behind the head that were not seen yet: one that
// replaces is noted in the record, one that may not wait is buried when a run is
// live. Others wait their turn.
func (a *adoption) lookPast(ctx context.Context, head uint64, live bool, heard *hearing) error {
	a.looked = max(a.looked, head)
	before := a.sightNow(heard)
	for {
		m, err := a.next(ctx, a.looked+1)
		if err != nil {
			return err
		}
		if m == nil {
			a.seen = before
			return nil
		}
		if job, err := queue.ParseJob(m); err == nil {
			if err := a.conflict(ctx, m, job, live); err != nil {
				return err
			}
		}
		a.looked = m.Seq
	}
}

// conflict applies the conflict policy of a job that arrived behind an unfinished one.
func (a *adoption) conflict(ctx context.Context, m *queue.Message, job queue.Job, live bool) error {
	switch job.Conflict {
	case queue.ConflictReplace:
		if a.snap.Revision == 0 {
			a.replacing = max(a.replacing, m.Seq)
			return nil
		}
		return a.try(ctx, "note that a job replaces older ones", func(ctx context.Context) error {
			s, err := a.w.records.Replace(ctx, a.session, m.Seq)
			if err == nil {
				a.saw(s)
			}
			return err
		})
	case queue.ConflictReject:
		if live {
			return a.reject(ctx, m, job)
		}
	case queue.ConflictQueue:
	}
	return nil
}
