package worker

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"curfew/queue"
)

// takeDeliveries takes n deliveries and answers none, as a worker does that is killed.
func (s *started) takeDeliveries(t *testing.T, n int) {
	t.Helper()
	js, _ := s.bucket(t)
	c, err := js.Consumer(t.Context(), "CURFEW_JOBS", "workers")
	require.NoError(t, err)
	got, err := c.Fetch(n, jetstream.FetchMaxWait(patience))
	require.NoError(t, err)
	for range n {
		require.NotNil(t, <-got.Messages())
	}
}

// runsToItsEnd publishes a job and waits until it is acknowledged.
func (s *started) runsToItsEnd(t *testing.T) {
	t.Helper()
	session := newSession()
	seq := s.publish(t, queue.NewJob{Session: session})
	s.finals(t, session, 1)
	js, _ := s.bucket(t)
	c, err := js.Consumer(t.Context(), "CURFEW_JOBS", "workers")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := c.Info(t.Context())
		require.NoError(t, err)
		return info.Delivered.Stream >= seq && info.NumPending == 0
	}, patience, tick)
}

// The end of a session takes no delivery from another one. nats-server forgets deliveries when the subject of a
// delivered job is purged.
func TestTheEndOfASessionTakesNoDeliveryFromAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.idle(nil)
	other, session := newSession(), newSession()
	w.publish(t, queue.NewJob{Session: other})
	for range 2 {
		w.publish(t, queue.NewJob{Session: session, CreatedAt: time.Now().Add(-5 * time.Hour)})
	}
	w.takeDeliveries(t, 3)
	w.over(t, session)
	require.Equal(t, SweepReport{Expired: 1, PurgedJobs: 2}, w.sweep(t))

	next := b.worker(nil)
	next.runsToItsEnd(t)
	require.Len(t, next.finals(t, other, 1), 1)
	next.empty(t)
}

// What the stream does not deliver any more is found by the sweeper, once.
func TestAForgottenJobIsToldOfAgain(t *testing.T) {
	t.Parallel()
	seen := newTally()
	b := newBench(t)
	w := b.idle(seen.watch)
	forgotten, woken, purged := newSession(), newSession(), newSession()
	w.publish(t, queue.NewJob{Session: forgotten})
	require.NoError(t, w.q.Wake(t.Context(), woken, 1))
	js, _ := w.bucket(t)
	_, err := js.Publish(t.Context(), "curfew.jobs.stray", nil)
	require.NoError(t, err)
	w.publish(t, queue.NewJob{Session: purged})
	w.takeDeliveries(t, 4)
	jobs, err := js.Stream(t.Context(), "CURFEW_JOBS")
	require.NoError(t, err)
	require.NoError(t, jobs.Purge(t.Context(), jetstream.WithPurgeSubject("curfew.jobs."+purged)))

	next := b.worker(nil)
	next.runsToItsEnd(t)
	var stranded []*queue.Message
	upTo := func(n int) (got []*queue.Message) {
		require.NoError(t, w.q.Stranded(t.Context(), func(m *queue.Message) error {
			if got = append(got, m); len(got) == n {
				return queue.ErrStop
			}
			return nil
		}))
		return got
	}
	require.Eventually(t, func() bool { stranded = upTo(10); return len(stranded) == 3 }, patience, tick, "the server counts them as done with")
	require.Len(t, upTo(1), 1)

	s := w.newSweeper()
	report, err := s.round(t.Context(), t.Context())
	require.NoError(t, err)
	require.Equal(t, SweepReport{Roused: 3}, report)
	seen.reaches(t, 2, "roused")
	seen.reaches(t, 1, "job", string(Invalid), "")
	next.finals(t, forgotten, 1)
	next.empty(t)
	require.Eventually(t, func() bool {
		info, err := jobs.Info(t.Context())
		require.NoError(t, err)
		return info.State.Msgs == 0
	}, patience, tick)
	require.NoError(t, s.rouseOne(t.Context(), stranded[0]), "it is gone by now")
	report, err = s.round(t.Context(), t.Context())
	require.NoError(t, err)
	require.Zero(t, report)
	seen.reaches(t, 2, "roused")
}

// A session that is not free to run a forgotten job is not woken again in each round.
func TestAForgottenJobIsToldOfOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.idle(nil)
	forgotten, purged := newSession(), newSession()
	w.publish(t, queue.NewJob{Session: forgotten})
	w.publish(t, queue.NewJob{Session: purged})
	w.takeDeliveries(t, 2)
	js, _ := w.bucket(t)
	jobs, err := js.Stream(t.Context(), "CURFEW_JOBS")
	require.NoError(t, err)
	require.NoError(t, jobs.Purge(t.Context(), jetstream.WithPurgeSubject("curfew.jobs."+purged)))
	next := b.worker(nil)
	next.runsToItsEnd(t)
	next.Drain() // nobody takes the wake
	require.NoError(t, <-next.ended)

	s := w.newSweeper()
	for _, want := range []struct {
		after  time.Duration
		roused uint64
	}{{0, 1}, {rouseAgain / 2, 0}, {rouseAgain + time.Second, 1}} {
		s.now = func() time.Time { return time.Now().Add(want.after) }
		report, err := s.round(t.Context(), t.Context())
		require.NoError(t, err)
		require.Equal(t, SweepReport{Roused: want.roused}, report, "%s later", want.after)
	}
}
