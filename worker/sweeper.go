package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"curfew/queue"
	"curfew/registry"
)

const (
	// sweepsPerSecond is how many sessions a round ends at most: without a pace,
	// who publishes meanwhile waits up to ten times as long as before.
	sweepsPerSecond = 200
	// What a session costs in units of a waiting job: its lease, two writes of its
	// record and its own event come to about two more jobs.
	sweepCost = 3
	// walksPerSecond is how many messages of the stream are looked at.
	walksPerSecond = 10_000
	walkBatch      = 64
	// sweepHands is how many sessions are being ended at once.
	sweepHands = 2
	// sweepAhead bounds the sessions found and not ended yet.
	sweepAhead = 1024
)

// sweeper finds the sessions that are over, and ends them; its rouser finds what
// the stream has forgotten. It keeps what it has found from round to round, so
// that a round looks only at what is new: it follows the changed records, and
// walks on through the stream from where it was.
type sweeper struct {
	w     *Worker
	now   func() time.Time // decides what is looked at, not what is ended
	pace  *rate.Limiter
	walks *rate.Limiter
	dues  *dues
	// records is how far the records were followed.
	records registry.Cursor
	// deleted are sessions whose record was taken away: they are as old as their jobs.
	deleted []string
	// walked is how far the stream was walked, stream which one that was.
	walked uint64
	stream queue.Identity
	rouser *rouser

	mu     sync.Mutex // guards what the hands write
	report SweepReport
	again  []string // to be looked at in the next round
}

func (w *Worker) newSweeper() *sweeper {
	return &sweeper{
		w: w, now: time.Now, dues: newDues(), rouser: newRouser(w),
		pace: rate.NewLimiter(sweepsPerSecond*sweepCost, sweepCost), walks: rate.NewLimiter(walksPerSecond, walkBatch),
	}
}

// round looks for what is over by now and ends it. The end of ctx stops the
// looking, and what is being ended is finished with working.
func (s *sweeper) round(ctx, working context.Context) (SweepReport, error) {
	s.report = SweepReport{}
	found := make(chan string, sweepAhead)
	var hands sync.WaitGroup
	for range sweepHands {
		hands.Go(func() {
			for session := range found {
				if s.pace.WaitN(ctx, sweepCost) != nil {
					s.lookAgain(session)
					continue
				}
				s.end(working, session)
			}
		})
	}
	roused, failed := s.rouser.round(ctx, s.now()) // first: it does not wait for what is being ended
	err := errors.Join(failed, s.find(ctx, func(session string) { found <- session }))
	close(found)
	hands.Wait()
	s.report.Roused = roused
	now := s.now()
	for _, session := range s.again {
		s.dues.set(session, now)
	}
	s.again = nil
	return s.report, err
}

// find hands every session that is over to over, the one that is over for longest first.
func (s *sweeper) find(ctx context.Context, over func(string)) error {
	if err := s.follow(ctx); err != nil {
		return err
	}
	now := s.now()
	hand := func() {
		for ctx.Err() == nil {
			session := s.dues.take(now)
			if session == "" {
				return
			}
			over(session)
		}
	}
	hand()
	err := s.walk(ctx, now, hand)
	hand()
	return err
}

// follow learns what the records say that changed since the last round.
func (s *sweeper) follow(ctx context.Context) error {
	at, err := s.w.records.Changes(ctx, s.records, s.forget, func(snap registry.Snapshot, bad error) {
		switch {
		case !queue.ValidSession(snap.Session): // nothing of it can be waiting
		case bad != nil:
			s.dues.drop(snap.Session)
			s.w.log.WithError(bad).Warn("a session whose record cannot be read is not swept")
		case snap.Revision == 0:
			s.dues.drop(snap.Session)
			s.deleted = append(s.deleted, snap.Session)
		case snap.Tombstone == nil:
			s.dues.set(snap.Session, snap.Curfew())
		case !snap.Tombstone.Announced: // somebody died while ending it
			s.dues.set(snap.Session, time.Time{})
		default:
			s.dues.drop(snap.Session)
		}
	})
	s.records = at
	if err != nil {
		return fmt.Errorf("sweep the records: %w", err)
	}
	for len(s.deleted) > 0 {
		session := s.deleted[len(s.deleted)-1]
		if m, err := s.w.q.Head(ctx, session, 1); err == nil {
			s.dues.set(session, s.w.unseenCurfew(m))
		} else if !errors.Is(err, queue.ErrNoMessage) {
			return fmt.Errorf("sweep a session whose record was deleted: %w", err)
		}
		s.deleted = s.deleted[:len(s.deleted)-1]
	}
	return nil
}

// forget starts over: the bucket or the stream is another one than before.
func (s *sweeper) forget() {
	s.dues, s.records, s.deleted = newDues(), registry.Cursor{}, nil
	s.walked, s.stream = 0, ""
}

// walk goes on through the stream, which is in the order of time, up to what is
// too young to belong to an expired session, and notes the sessions without a
// record: they are as old as their first job. It calls found now and then.
func (s *sweeper) walk(ctx context.Context, now time.Time, found func()) error {
	cutoff := now.Add(-s.w.shortestAge())
	for n := 1; ; n++ {
		m, err := s.w.q.Next(ctx, s.walked+1)
		none := errors.Is(err, queue.ErrNoMessage)
		if err != nil && !none {
			return fmt.Errorf("sweep the stream: %w", err)
		}
		if id := s.w.q.Identity(); id != s.stream { // the first one, or made anew meanwhile
			restart := s.walked > 0
			s.stream, s.walked = id, 0
			if restart {
				continue
			}
		}
		if none || !m.Time.Before(cutoff) {
			return nil
		}
		s.walked = m.Seq
		if m.Session != "" && !s.dues.has(m.Session) {
			s.dues.set(m.Session, s.w.unseenCurfew(m))
		}
		if n%walkBatch == 0 {
			found()
			if err := s.walks.WaitN(ctx, walkBatch); err != nil {
				return fmt.Errorf("sweep the stream: %w", err)
			}
		}
	}
}

// unseenCurfew is when the wall clock ends of a session that nobody took up, by
// its first job. The adoption judges again, by the lease store's clock. Of an
// agent that is not known here, nobody says how long its sessions may live: no
// longer than any other's.
func (w *Worker) unseenCurfew(m *queue.Message) time.Time {
	job, _ := parse(m) // one that cannot be understood is as old as its message
	rec := registry.Record{CreatedAt: m.Time}
	if !job.CreatedAt.IsZero() && job.CreatedAt.Before(rec.CreatedAt) {
		rec.CreatedAt = job.CreatedAt
	}
	name := agentOf(rec, job)
	age := w.cfg.maxAgeOf(name)
	if _, known := w.cfg.Agents[name]; !known {
		age = slices.Max(w.ages())
	}
	rec.MaxAgeMS = age.Milliseconds()
	return rec.Curfew()
}

// shortestAge is the shortest wall clock in use here: no job that waited for
// less can belong to an expired session without a record.
func (w *Worker) shortestAge() time.Duration { return slices.Min(w.ages()) }

// ages are the wall clocks in use here.
func (w *Worker) ages() []time.Duration {
	ages := []time.Duration{w.cfg.MaxAge}
	for name := range w.cfg.Agents {
		ages = append(ages, w.cfg.maxAgeOf(name))
	}
	return ages
}

// end adopts a session to end it. The lease store's clock decides whether it is over.
func (s *sweeper) end(ctx context.Context, session string) {
	a := s.w.newAdoption(session)
	a.buryOnly = true
	a.pace = s.pace
	var held *registry.HeldError
	err := a.begin(ctx)
	switch {
	case errors.As(err, &held):
		if err := s.w.q.Nudge(session); err != nil {
			a.log.WithError(err).Warn("the holder of an expired session could not be told; its own timer ends it")
		}
	case err != nil:
		a.log.WithError(err).Info("an expired session could not be taken up; the next round comes back to it")
	default:
		a.stay(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if held != nil && a.snap.Run != nil {
		s.report.Stopped++
	}
	if a.announced {
		s.report.Expired++
		s.w.observe.SessionSwept()
	}
	s.report.PurgedJobs += a.swept
	if err != nil || a.left != endNothing {
		s.again = append(s.again, session)
	}
}

func (s *sweeper) lookAgain(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = append(s.again, session)
}

// dryRun counts what a round would do.
func (s *sweeper) dryRun(ctx context.Context) (report SweepReport, err error) {
	var over []string
	if err := s.find(ctx, func(session string) { over = append(over, session) }); err != nil {
		return report, err
	}
	for _, session := range over {
		snap, err := s.w.records.Get(ctx, session)
		if err != nil {
			return report, err
		}
		if snap.Run != nil { // its holder would be told, and buries what waits
			report.Stopped++
			continue
		}
		n, err := s.w.q.WaitingOf(ctx, session)
		if err != nil {
			return report, fmt.Errorf("count the waiting jobs of session %s: %w", session, err)
		}
		report.Expired++
		report.PurgedJobs += n
	}
	return report, nil
}
