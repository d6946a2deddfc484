package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"curfew/queue"
	"curfew/registry"
)

// SweepReport is what a round of the sweeper did, or would do.
type SweepReport struct {
	Expired    uint64 `json:"expired"`     // sessions that were ended
	PurgedJobs uint64 `json:"purged_jobs"` // their waiting jobs, now dead letters
	Stopped    uint64 `json:"stopped"`     // live runs whose holder was told
}

// sweepRounds runs the sweeper, in one worker of the fleet at a time, until ctx ends.
func (w *Worker) sweepRounds(ctx context.Context) {
	if w.cfg.SweepEvery == 0 {
		return
	}
	tick := time.NewTicker(w.cfg.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.draining:
			return
		case <-tick.C:
		}
		if w.brake.isOn() {
			continue // while the fleet is halted, its sweeper rests
		}
		mine, release, err := w.leases.Duty(ctx, "sweeper", max(2*w.cfg.SweepEvery, time.Minute))
		if err != nil || !mine {
			if err != nil && ctx.Err() == nil {
				w.log.WithError(err).Warn("the sweeper could not ask whose turn it is")
			}
			continue
		}
		r, err := w.Sweep(ctx, false)
		if err != nil && ctx.Err() == nil {
			w.log.WithError(err).Warn("a round of the sweeper ended early; the next one goes on")
		}
		if r != (SweepReport{}) {
			w.log.WithField("expired", r.Expired).WithField("purged_jobs", r.PurgedJobs).WithField("stopped", r.Stopped).Info("swept")
		}
		release(context.WithoutCancel(ctx))
	}
}

// Sweep ends the sessions whose wall clock is over and that nobody holds:
// those with a record, and those whose jobs have waited in the stream for
// longer than any session may live. A live holder is nudged instead. With
// dryRun it only counts. The renewal loop of the leases must be running, as it
// is in Run. Safe beside other sweepers: each session is adopted first.
func (w *Worker) Sweep(ctx context.Context, dryRun bool) (SweepReport, error) {
	var report SweepReport
	switch h, err := w.lookAtBrake(ctx); {
	case err != nil:
		return report, err
	case h.On && !dryRun:
		return report, ErrHalted
	}
	over, seen, err := w.overSessions(ctx)
	if err != nil {
		return report, err
	}
	waiting, err := w.waitedOut(ctx, seen)
	if err != nil {
		return report, err
	}
	over = append(over, waiting...)
	if dryRun {
		return w.dryRun(ctx, over)
	}
	for _, session := range over {
		if err := ctx.Err(); err != nil {
			return report, fmt.Errorf("sweep: %w", context.Cause(ctx))
		}
		w.sweepOne(ctx, session, &report)
	}
	return report, nil
}

// overSessions are those whose record says that they are over and that were not
// ended yet. seen are all sessions that have a record, with whether they are over.
func (w *Worker) overSessions(ctx context.Context) (over []string, seen map[string]bool, err error) {
	seen = map[string]bool{}
	now := time.Now()
	err = w.records.All(ctx, func(s registry.Snapshot) error {
		seen[s.Session] = s.Over(now)
		if s.Over(now) && (s.Tombstone == nil || !s.Tombstone.Announced) {
			over = append(over, s.Session)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("sweep the records: %w", err)
	}
	return over, seen, nil
}

// waitedOut walks the stream, which is in time order, up to the cutoff and
// answers the sessions whose oldest job is older than any session may be: those
// that nobody ever took up, and those that ended already.
func (w *Worker) waitedOut(ctx context.Context, seen map[string]bool) ([]string, error) {
	cutoff := time.Now().Add(-w.shortestAge())
	var found []string
	met := map[string]bool{}
	for from := uint64(1); ; {
		m, err := w.q.Next(ctx, from)
		if errors.Is(err, queue.ErrNoMessage) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("sweep the stream: %w", err)
		}
		if !m.Time.Before(cutoff) {
			return found, nil
		}
		from = m.Seq + 1
		over, recorded := seen[m.Session]
		if m.Session == "" || met[m.Session] || recorded && !over {
			continue
		}
		met[m.Session] = true
		if recorded || w.tooOldUnseen(m) {
			found = append(found, m.Session)
		}
	}
}

// tooOldUnseen judges a session that nobody took up by its oldest job. The
// adoption judges again, by the lease store's clock.
func (w *Worker) tooOldUnseen(m *queue.Message) bool {
	job, _ := parse(m) // one that cannot be understood is as old as its message
	rec := registry.Record{CreatedAt: m.Time}
	if !job.CreatedAt.IsZero() && job.CreatedAt.Before(rec.CreatedAt) {
		rec.CreatedAt = job.CreatedAt
	}
	rec.MaxAgeMS = w.cfg.maxAgeOf(agentOf(rec, job)).Milliseconds()
	return rec.Expired(time.Now())
}

// shortestAge is the shortest wall clock in use here: no job that waited for
// less can belong to an expired session without a record.
func (w *Worker) shortestAge() time.Duration {
	age := w.cfg.MaxAge
	for _, a := range w.cfg.Agents {
		age = shortest(age, a.MaxAge)
	}
	return age
}

// sweepOne adopts a session to end it. Its clock, the lease store's, decides
// whether it is over.
func (w *Worker) sweepOne(ctx context.Context, session string, report *SweepReport) {
	a := w.newAdoption(session)
	a.buryOnly = true
	var held *registry.HeldError
	switch err := a.begin(ctx); {
	case errors.As(err, &held):
		if a.snap.Run != nil {
			report.Stopped++
		}
		if err := w.q.Nudge(session); err != nil {
			a.log.WithError(err).Warn("the holder of an expired session could not be told; its own timer ends it")
		}
	case err != nil:
		a.log.WithError(err).Info("an expired session could not be taken up; the next round comes back to it")
	default:
		a.stay(ctx)
		if a.ended {
			report.Expired++
			w.observe.SessionSwept()
		}
		report.PurgedJobs += a.swept
	}
}

func (w *Worker) dryRun(ctx context.Context, over []string) (SweepReport, error) {
	report := SweepReport{Expired: uint64(len(over))}
	waiting, err := w.q.Waiting(ctx)
	if err != nil {
		return report, fmt.Errorf("count the waiting jobs: %w", err)
	}
	for _, session := range over {
		report.PurgedJobs += waiting[session]
		s, err := w.records.Get(ctx, session)
		if err != nil {
			return report, err
		}
		if s.Run != nil {
			report.Stopped++
		}
	}
	return report, nil
}
