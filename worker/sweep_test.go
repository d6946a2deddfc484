package worker

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
)

// idle is a worker that takes no jobs, as `curfew sweep` makes one.
func (b *bench) idle(change func(*Config)) *started {
	b.t.Helper()
	w := b.worker(change)
	w.Drain()
	require.NoError(b.t, <-w.ended)
	b.renewing(w)
	return w
}

// over gives the session a record whose wall clock is over.
func (s *started) over(t *testing.T, session string) registry.Snapshot {
	t.Helper()
	snap, err := s.records.Update(t.Context(), registry.Snapshot{Session: session},
		registry.Record{CreatedAt: time.Now().Add(-5 * time.Hour).UTC(), MaxAgeMS: (4 * time.Hour).Milliseconds()})
	require.NoError(t, err)
	return snap
}

func (s *started) sweep(t *testing.T) SweepReport {
	t.Helper()
	r, err := s.Sweep(t.Context(), false)
	require.NoError(t, err)
	return r
}

// endings are the session's own last events: one, when all is well.
func (s *started) endings(t *testing.T, session string) (got []queue.Event) {
	t.Helper()
	require.NoError(t, s.q.Events(t.Context(), session, time.Time{}, false, func(e queue.Event) error {
		if e.Type == "expired" {
			got = append(got, e)
		}
		return nil
	}))
	return got
}

// A session that no worker ever took up is as old as its first job in the
// stream: 4 h and not a moment less, by the clock of the lease store.
func TestASessionWithoutARecordIsSweptWhenItsJobsHaveWaitedItOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.idle(nil)
	session, other := newSession(), newSession()
	for range 3 {
		w.publish(t, queue.NewJob{Session: session})
	}
	s := w.newSweeper()
	sweepAt := func(age time.Duration) SweepReport {
		t.Helper()
		s.now = func() time.Time { return time.Now().Add(age) }
		b.redis.SetTime(time.Now().Add(age))
		r, err := s.round(t.Context(), t.Context())
		require.NoError(t, err)
		return r
	}
	require.Zero(t, sweepAt(0))
	require.Zero(t, sweepAt(4*time.Hour-time.Minute), "3 h 59")
	snap, err := w.records.Get(t.Context(), session)
	require.NoError(t, err)
	require.Zero(t, snap.Revision, "nobody touched it")
	require.Empty(t, w.letters(t, session))

	// A clock here that is ahead decides nothing: the lease store's does.
	s.now = func() time.Time { return time.Now().Add(5 * time.Hour) }
	r, err := s.round(t.Context(), t.Context())
	require.NoError(t, err)
	require.Zero(t, r)
	require.Empty(t, w.letters(t, session))

	w.publish(t, queue.NewJob{Session: other, CreatedAt: time.Now().Add(-3 * time.Hour)})
	require.Equal(t, SweepReport{Expired: 2, PurgedJobs: 4}, sweepAt(5*time.Hour))
	for session, jobs := range map[string]int{session: 3, other: 1} {
		finals := w.finals(t, session, jobs)
		require.Len(t, finals, jobs)
		for _, e := range finals {
			require.Equal(t, string(Expired), e.Outcome)
		}
		require.Len(t, w.letters(t, session), jobs)
		events := w.endings(t, session)
		require.Len(t, events, 1)
		require.EqualValues(t, jobs, events[0].Purged)
	}
	w.empty(t)
	require.Zero(t, sweepAt(6*time.Hour), "once")
}

// The wall clock of a session that nobody took up is its agent's.
func TestTheAgentDecidesHowLongAJobMayWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.idle(func(c *Config) {
		for name, age := range map[string]time.Duration{"short": time.Second, "long": 48 * time.Hour} {
			c.Agents[name] = &agent.Agent{Name: name, Command: []string{"/bin/true"}, Grace: time.Second, MaxAge: age}
		}
	})
	short, long, plain, unknown := newSession(), newSession(), newSession(), newSession()
	w.publish(t, queue.NewJob{Session: long, Agent: "long"})
	w.publish(t, queue.NewJob{Session: unknown, Agent: "nobody-knows"})
	w.publish(t, queue.NewJob{Session: plain})
	w.publish(t, queue.NewJob{Session: short, Agent: "short"})
	s := w.newSweeper()
	for _, c := range []struct {
		after time.Duration
		gone  []string
	}{
		{2 * time.Second, []string{short}},
		{5 * time.Hour, []string{plain}},
		{49 * time.Hour, []string{long, unknown}},
	} {
		s.now = func() time.Time { return time.Now().Add(c.after) }
		b.redis.SetTime(time.Now().Add(c.after))
		before, err := w.q.Waiting(t.Context())
		require.NoError(t, err)
		_, err = s.round(t.Context(), t.Context())
		require.NoError(t, err)
		after, err := w.q.Waiting(t.Context())
		require.NoError(t, err)
		if slices.Contains(c.gone, unknown) {
			// It is not known here how long it may live: the record, if it ever gets one, decides.
			delete(before, unknown)
			delete(after, unknown)
		}
		for session := range before {
			_, still := after[session]
			require.Equal(t, !slices.Contains(c.gone, session), still, "session %s after %s", session, c.after)
		}
	}
}

// Without a pace a round would take all that the servers can give.
func TestASweepKeepsItsPace(t *testing.T) {
	t.Parallel()
	w := newBench(t).idle(nil)
	const sessions = 300
	for range sessions {
		w.over(t, newSession())
	}
	began := time.Now()
	require.EqualValues(t, sessions, w.sweep(t).Expired)
	took := time.Since(began)
	t.Logf("%d sessions in %s", sessions, took.Round(time.Millisecond))
	require.GreaterOrEqual(t, took, (sessions-sweepHands-1)*time.Second/sweepsPerSecond, "more than %d sessions a second", sweepsPerSecond)
}

// extend and the sweeper change one record: exactly one of them wins.
func TestExtendAndASweepDoNotBothWin(t *testing.T) {
	t.Parallel()
	w := newBench(t).idle(nil)
	const rounds = 150
	var extended, expired int
	for n := range rounds {
		session := newSession()
		seq := w.publish(t, queue.NewJob{Session: session})
		// An operator whose clock is a little behind may extend a session that is just over.
		snap, err := w.records.Update(t.Context(), registry.Snapshot{Session: session},
			registry.Record{CreatedAt: time.Now().Add(-time.Hour).UTC(), MaxAgeMS: time.Hour.Milliseconds() - 1})
		require.NoError(t, err)
		longer := snap.Record
		longer.MaxAgeMS += time.Hour.Milliseconds()
		var all sync.WaitGroup
		var conflict error
		s := w.newSweeper()
		extend := func() { _, conflict = w.records.Update(t.Context(), snap, longer) }
		switch n { // the first and the last round cannot but differ
		case 0:
			extend()
			s.end(t.Context(), session)
		case rounds - 1:
			s.end(t.Context(), session)
			extend()
		default:
			all.Go(func() {
				<-time.After(time.Duration(n*40) * time.Microsecond)
				extend()
			})
			s.end(t.Context(), session)
		}
		all.Wait()
		now, err := w.records.Get(t.Context(), session)
		require.NoError(t, err)
		letters := w.letters(t, session)
		if conflict == nil {
			extended++
			require.Nil(t, now.Tombstone, "extended, and ended all the same")
			require.Empty(t, letters)
			require.Empty(t, w.endings(t, session))
			m, err := w.q.Head(t.Context(), session, 1)
			require.NoError(t, err)
			require.Equal(t, seq, m.Seq)
			continue
		}
		require.ErrorIs(t, conflict, registry.ErrConflict)
		expired++
		require.NotNil(t, now.Tombstone)
		require.Len(t, letters, 1)
		_, err = w.records.Extend(t.Context(), session, time.Hour)
		require.ErrorIs(t, err, registry.ErrOver)
	}
	t.Logf("%d extended, %d expired", extended, expired)
	require.Positive(t, extended)
	require.Positive(t, expired)
}

// A later job of an expired session costs one refusal: a letter and a final
// event each, and a bounded number of requests.
func TestLaterJobsOfAnExpiredSessionCostOneRefusalEach(t *testing.T) {
	t.Parallel()
	const jobs = 1000
	b := newBench(t)
	w := b.worker(func(c *Config) { c.Concurrency, c.BusyDelay = 2, time.Minute })
	session := newSession()
	w.over(t, session)
	first := w.publish(t, queue.NewJob{Session: session})
	w.finals(t, session, 1)
	w.empty(t)
	redis, nats := b.redis.CommandCount(), b.requests(t)
	var last uint64
	for range jobs {
		for {
			p, err := w.q.Publish(t.Context(), queue.NewJob{Session: session})
			if errors.Is(err, queue.ErrBacklogFull) {
				<-time.After(10 * time.Millisecond)
				continue
			}
			require.NoError(t, err)
			last = p.Seq
			break
		}
	}
	require.Eventually(t, func() bool {
		m, err := w.q.Get(t.Context(), last)
		return m == nil && errors.Is(err, queue.ErrNoMessage)
	}, 8*time.Minute, 50*time.Millisecond)
	w.empty(t)
	redis, nats = b.redis.CommandCount()-redis, b.requests(t)-nats
	t.Logf("a later job costs %.1f commands of Redis and %.1f messages to NATS", float64(redis)/jobs, float64(nats)/jobs)
	require.Less(t, redis, 60*jobs, "a lease refused, taken and given back is 25 of them: the scripts' own count")
	require.Less(t, nats, int64(60*jobs))

	require.Len(t, w.finals(t, session, jobs+1), jobs+1)
	letters := w.letters(t, session)
	require.Len(t, letters, jobs+1)
	seen := map[uint64]bool{}
	for _, l := range letters {
		require.Equal(t, "expired", l.Reason)
		require.False(t, seen[l.JobSeq], "buried twice")
		seen[l.JobSeq] = true
	}
	require.True(t, seen[first])
	require.Len(t, w.endings(t, session), 1, "the session's own event is the first end's")
	require.Zero(t, w.table.Count())
}

// A round that is resumed after a halt or a restart of the sweeper finds the
// same; nothing is ended during the halt.
func TestASweepRestsWhileTheFleetIsHalted(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(func(c *Config) { c.SweepEvery = 50 * time.Millisecond })
	w.halt(t, true, true)
	require.Eventually(t, w.brake.isOn, 30*time.Second, 5*time.Millisecond)
	session := newSession()
	w.publish(t, queue.NewJob{Session: session})
	w.over(t, session)
	_, err := w.Sweep(t.Context(), false)
	require.ErrorIs(t, err, ErrHalted)
	dry, err := w.Sweep(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, SweepReport{Expired: 1, PurgedJobs: 1}, dry, "looking is no harm")
	require.Empty(t, w.letters(t, session))
	w.halt(t, false, true)
	w.finals(t, session, 1)
	require.Len(t, w.letters(t, session), 1)
}

// One worker sweeps and keeps the duty; when it goes, another one takes it.
func TestOneWorkerSweeps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	quick := func(id string) func(*Config) {
		return func(c *Config) { c.ID, c.SweepEvery = id, 50*time.Millisecond }
	}
	sweeper := func(w *started) string { // ends a session and answers who did it
		session := newSession()
		w.over(t, session)
		var events []queue.Event
		require.Eventually(t, func() bool {
			events = w.endings(t, session)
			return len(events) > 0
		}, 60*time.Second, 10*time.Millisecond)
		return events[0].Worker
	}
	first := b.worker(quick("one"))
	require.Equal(t, "one", sweeper(first))
	second := b.worker(quick("two"))
	for range 3 {
		require.Equal(t, "one", sweeper(second))
	}
	first.Drain()
	require.NoError(t, <-first.ended)
	require.Equal(t, "two", sweeper(second))
}
