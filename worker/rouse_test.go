package worker

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
)

// forgetful is a bench whose stream forgets deliveries on demand, with a worker that takes no jobs. What is taken and not
// answered comes again after ackWait, unless it is forgotten before.
func forgetful(t *testing.T, ackWait time.Duration, change func(*Config)) (*bench, *started) {
	t.Helper()
	b := newBench(t)
	b.ackWait = ackWait
	w := b.idle(change)
	return b, w
}

// takeDeliveries takes n deliveries. It answers none, as a worker does that is killed, but hands them on.
func (s *started) takeDeliveries(t *testing.T, n int) (taken []jetstream.Msg) {
	t.Helper()
	js, _ := s.bucket(t)
	c, err := js.Consumer(t.Context(), "CURFEW_JOBS", "workers")
	require.NoError(t, err)
	got, err := c.Fetch(n, jetstream.FetchMaxWait(patience))
	require.NoError(t, err)
	for m := range got.Messages() {
		taken = append(taken, m)
	}
	require.Len(t, taken, n)
	return taken
}

// forget has the server forget the n messages that wait to be delivered: they are delivered, the subject of a later
// delivery is purged, and one after it is acknowledged. Whether the consumer hears of the purge before it hears of the
// removals is a race in the server, so this goes on until it did.
func (s *started) forget(t *testing.T, n int) {
	t.Helper()
	s.takeDeliveries(t, n)
	js, _ := s.bucket(t)
	jobs, err := js.Stream(t.Context(), "CURFEW_JOBS")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		purged := newSession()
		s.publish(t, queue.NewJob{Session: purged})
		s.takeDeliveries(t, 1)
		require.NoError(t, jobs.Purge(t.Context(), jetstream.WithPurgeSubject("curfew.jobs."+purged)))
		s.publish(t, queue.NewJob{Session: newSession()})
		require.NoError(t, s.takeDeliveries(t, 1)[0].DoubleAck(t.Context()))
		return len(s.stranded(t, 1000)) == n
	}, patience, tick, "the server counts them as done with")
}

// stranded are the first n messages that are.
func (s *started) stranded(t *testing.T, n int) (got []*queue.Message) {
	t.Helper()
	_, err := s.q.Stranded(t.Context(), 0, func(m *queue.Message) error {
		if got = append(got, m); len(got) == n {
			return queue.ErrStop
		}
		return nil
	})
	require.NoError(t, err)
	return got
}

// wakes are how many wakes of the session lie in the stream.
func (s *started) wakes(t *testing.T, session string) uint64 {
	t.Helper()
	js, _ := s.bucket(t)
	jobs, err := js.Stream(t.Context(), "CURFEW_JOBS")
	require.NoError(t, err)
	subject := "curfew.wake." + session
	info, err := jobs.Info(t.Context(), jetstream.WithSubjectFilter(subject))
	require.NoError(t, err)
	return info.State.Subjects[subject]
}

// The end of a session takes no delivery from another one. nats-server forgets deliveries when the subject of a
// delivered job is purged.
func TestTheEndOfASessionTakesNoDeliveryFromAnother(t *testing.T) {
	t.Parallel()
	b, w := forgetful(t, 5*time.Second, nil)
	other, session, after := newSession(), newSession(), newSession()
	w.publish(t, queue.NewJob{Session: other})
	for range 2 {
		w.publish(t, queue.NewJob{Session: session, CreatedAt: time.Now().Add(-5 * time.Hour)})
	}
	w.takeDeliveries(t, 3)
	w.over(t, session)
	require.Equal(t, SweepReport{Expired: 1, PurgedJobs: 2}, w.sweep(t))

	next := b.worker(nil)
	w.publish(t, queue.NewJob{Session: after})
	next.finals(t, after, 1)
	require.Empty(t, w.stranded(t, 10))
	next.finals(t, other, 1)
	next.empty(t)
}

// What the stream does not deliver any more is found by the sweeper, and each session is told once.
func TestAForgottenJobIsToldOfAgain(t *testing.T) {
	t.Parallel()
	seen := newTally()
	b, w := forgetful(t, patience, seen.watch)
	forgotten, woken := newSession(), newSession()
	for range 3 {
		w.publish(t, queue.NewJob{Session: forgotten})
	}
	require.NoError(t, w.q.Wake(t.Context(), woken, 1))
	js, _ := w.bucket(t)
	for _, subject := range []string{"curfew.jobs.stray", "curfew.wake.stray"} {
		_, err := js.Publish(t.Context(), subject, nil)
		require.NoError(t, err)
	}
	w.forget(t, 6)
	gone := w.stranded(t, 1)
	require.Len(t, gone, 1)

	s := w.newSweeper()
	sweep := func() SweepReport {
		t.Helper()
		report, err := s.round(t.Context(), t.Context())
		require.NoError(t, err)
		return report
	}
	require.Equal(t, SweepReport{Roused: 4}, sweep())
	seen.reaches(t, 4, "roused")
	seen.reaches(t, 1, "job", string(Invalid), "")
	require.EqualValues(t, 1, w.wakes(t, forgotten), "one for three jobs")
	require.EqualValues(t, 1, w.wakes(t, woken), "another one in its place")
	require.Len(t, w.stranded(t, 10), 3, "the strays are gone")

	next := b.worker(nil)
	next.finals(t, forgotten, 3)
	jobs, err := js.Stream(t.Context(), "CURFEW_JOBS")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := jobs.Info(t.Context())
		require.NoError(t, err)
		return info.State.Msgs == 0
	}, patience, tick, "nothing is left over")
	require.Zero(t, sweep())
	n, err := s.rouser.tell(t.Context(), &stranded{session: forgotten, jobs: gone, known: gone[0].Seq}, 1<<20, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Zero(t, n, "it was being acknowledged when it was found")
	require.Zero(t, w.wakes(t, forgotten))
}

// Who is told already, or is at work, is not told again in each round, by whichever sweeper.
func TestAForgottenJobIsToldOfOnce(t *testing.T) {
	t.Parallel()
	_, w := forgetful(t, patience, nil)
	waits, runs := newSession(), newSession()
	w.publish(t, queue.NewJob{Session: waits})
	seq := w.publish(t, queue.NewJob{Session: runs})
	w.forget(t, 2)
	snap := registry.Snapshot{Session: runs}
	rec := registry.Record{CreatedAt: time.Now().UTC(), MaxAgeMS: (4 * time.Hour).Milliseconds()}
	_, err := w.records.Update(t.Context(), snap, rec.Begin(registry.Opening{Token: "t", Seq: seq, Job: "j", Agent: "default", Started: time.Now()}))
	require.NoError(t, err)

	s := w.newSweeper()
	for _, c := range []struct {
		sweeper *sweeper
		after   time.Duration
		roused  uint64
	}{
		{s, 0, 1},
		{s, rouseAgain / 2, 0},
		{s, 2 * rouseAgain, 0},
		{w.newSweeper(), 0, 0},
	} {
		c.sweeper.now = func() time.Time { return time.Now().Add(c.after) }
		report, err := c.sweeper.round(t.Context(), t.Context())
		require.NoError(t, err)
		require.Equal(t, SweepReport{Roused: c.roused}, report, "%s later", c.after)
		for _, session := range []string{waits, runs} {
			require.EqualValues(t, 1, w.wakes(t, session), "%s later", c.after)
		}
	}
}

// A round looks at so many, and the next one behind them.
func TestTheRouserGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	_, w := forgetful(t, patience, nil)
	sessions := []string{newSession(), newSession(), newSession()}
	for _, session := range sessions {
		w.publish(t, queue.NewJob{Session: session})
	}
	w.forget(t, len(sessions))
	s := w.newSweeper()
	s.rouser.limit = 2
	told := func() (n uint64) {
		for _, session := range sessions {
			n += w.wakes(t, session)
		}
		return n
	}
	for _, want := range []uint64{2, 3, 3} {
		_, err := s.round(t.Context(), t.Context())
		require.NoError(t, err)
		require.Equal(t, want, told())
	}
}

// What is forgotten after a session was told is told of too, and not only ten minutes later.
func TestASessionIsToldOfWhatIsForgottenLater(t *testing.T) {
	t.Parallel()
	b, w := forgetful(t, patience, nil)
	session, s := newSession(), w.newSweeper()
	for n := 1; n <= 2; n++ {
		w.publish(t, queue.NewJob{Session: session})
		w.forget(t, 1)
		report, err := s.round(t.Context(), t.Context())
		require.NoError(t, err)
		require.Equal(t, SweepReport{Roused: 1}, report)
		next := b.worker(nil)
		next.finals(t, session, n)
		next.empty(t)
		next.Drain()
		require.NoError(t, <-next.ended)
	}
}
