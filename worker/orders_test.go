package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/queue"
)

// An order is written first and told afterwards; where the telling is lost, the
// holder reads it within a renewal.
func TestAStopReachesTheHolderAlsoWithoutItsNudge(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	for name, nudge := range map[string]bool{"nudged": true, "the nudge is lost": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session := newSession()
			seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 10m")})
			w.running(t, session)
			run, ok := w.table.BySession(session)
			require.True(t, ok)
			asked := time.Now()
			_, err := w.records.StopRun(t.Context(), session, "by test")
			require.NoError(t, err)
			if nudge {
				require.NoError(t, w.q.Nudge(session))
			}
			select {
			case <-run.Run.Done():
			case <-time.After(time.Minute):
				require.FailNow(t, "the run lives on")
			}
			t.Logf("stopped %s after the order", time.Since(asked).Round(time.Millisecond))
			require.Equal(t, string(Stopped), w.finals(t, session, 1)[seq].Outcome)
		})
	}
}

func (s *started) warnings(t *testing.T, session string) (all []queue.Event) {
	t.Helper()
	require.NoError(t, s.q.Events(t.Context(), session, time.Time{}, false, func(e queue.Event) error {
		if e.Type == "warning" {
			all = append(all, e)
		}
		return nil
	}))
	return all
}

// One process lives through its session's warning, two extends and its first
// curfew; its successor on another worker warns again only of a new curfew.
func TestExtendMovesTheCurfewOfALiveRun(t *testing.T) {
	t.Parallel()
	const left = 15 * time.Second // of four hours, when the job is published
	b := newBench(t)
	first := b.worker(func(c *Config) { c.ID, c.DrainTimeout = "first", 0 })
	session := newSession()
	curfew := time.Now().Add(left)
	first.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 10m"), CreatedAt: curfew.Add(-4 * time.Hour)})
	run := first.running(t, session).Run.Token
	warned := func(w *started, n int) func() bool {
		return func() bool {
			s, err := w.records.Get(t.Context(), session)
			return err == nil && s.WarnedMS == s.MaxAgeMS && len(w.warnings(t, session)) == n
		}
	}
	require.Eventually(t, warned(first, 1), time.Minute, 20*time.Millisecond, "nine tenths are over")

	_, err := first.records.Extend(t.Context(), session, 10*time.Minute)
	require.NoError(t, err)
	require.NoError(t, first.q.Nudge(session))
	require.Eventually(t, warned(first, 2), time.Minute, 20*time.Millisecond, "of the new curfew too, which is as near")
	require.Eventually(t, func() bool { return time.Now().After(curfew.Add(time.Second)) }, time.Minute, 20*time.Millisecond)
	require.Equal(t, run, first.running(t, session).Run.Token, "the run was not started again")

	second := b.worker(func(c *Config) { c.ID = "second" })
	first.Drain()
	require.NoError(t, <-first.ended)
	require.Equal(t, "second", second.running(t, session).Run.Worker)
	_, err = second.records.Extend(t.Context(), session, 10*time.Minute)
	require.NoError(t, err)
	require.NoError(t, second.q.Nudge(session))
	require.Eventually(t, warned(second, 3), time.Minute, 20*time.Millisecond)
	all := second.warnings(t, session)
	require.Equal(t, []string{"first", "first", "second"}, []string{all[0].Worker, all[1].Worker, all[2].Worker})
	require.Contains(t, all[2].Reason, "4h20m")
}
