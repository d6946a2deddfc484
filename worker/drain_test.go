package worker

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/queue"
)

// fates are what happened to the runs of a session, in order.
func (s *started) outcomes(t *testing.T, session string) (out []string) {
	t.Helper()
	require.NoError(t, s.q.Events(t.Context(), session, time.Time{}, false, func(e queue.Event) error {
		if e.Type == "finished" {
			out = append(out, e.Outcome)
		}
		return nil
	}))
	return out
}

func TestADrainLetsRunsFinishAndHandsTheRestBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.worker(func(c *Config) { c.ID, c.DrainTimeout = "first", time.Second })
	short, long := newSession(), newSession()
	shortSeq := first.publish(t, queue.NewJob{Session: short, Body: []byte("sleep 500ms")})
	longSeq := first.publish(t, queue.NewJob{Session: long, Body: []byte("sleep 3s")})
	first.running(t, short)
	first.running(t, long)
	first.Drain()
	require.ErrorContains(t, first.Ready(), "draining")
	second := b.worker(func(c *Config) { c.ID = "second" })
	later := second.publish(t, queue.NewJob{Session: newSession()})
	require.NoError(t, <-first.ended)

	require.Equal(t, "first", second.finals(t, short, 1)[shortSeq].Worker)
	e := second.finals(t, long, 1)[longSeq]
	require.Equal(t, "second", e.Worker)
	require.Equal(t, string(Succeeded), e.Outcome)
	require.Equal(t, []string{"handed_back", "succeeded"}, second.outcomes(t, long))
	require.NotZero(t, later)
	second.empty(t)
}

func TestManyDrainsOfOneJobMakeNoDeadLetter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	session := newSession()
	var seq uint64
	for i := range 6 {
		w := b.worker(func(c *Config) { c.DrainTimeout = 0 })
		if i == 0 {
			seq = w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 2s")})
		}
		w.running(t, session)
		w.Drain()
		require.NoError(t, <-w.ended)
	}
	last := b.worker(nil)
	e := last.finals(t, session, 1)[seq]
	require.Equal(t, string(Succeeded), e.Outcome)
	require.Equal(t, 7, e.Attempt)
	require.Empty(t, last.letters(t, session))
	last.empty(t)
}

func TestOnDrainDecides(t *testing.T) {
	t.Parallel()
	for setting, buried := range map[OnDrain]int{DrainAck: 0, DrainDead: 1} {
		t.Run(string(setting), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			w := b.worker(func(c *Config) { c.OnDrain, c.DrainTimeout = setting, 0 })
			session := newSession()
			seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 1m")})
			w.running(t, session)
			w.Drain()
			require.NoError(t, <-w.ended)
			e := w.finals(t, session, 1)[seq]
			require.Equal(t, string(HandedBack), e.Outcome)
			require.Len(t, w.letters(t, session), buried)
			w.empty(t)
		})
	}
}

func TestASigtermOfSubprocessAndWorkerAtOnceIsTheDrains(t *testing.T) {
	t.Parallel()
	for name, drainFirst := range map[string]bool{"drain first": true, "subprocess first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			w := b.worker(nil)
			session := newSession()
			w.publish(t, queue.NewJob{Session: session, Body: []byte("trap 143 sleep 1m")})
			w.running(t, session)
			require.Eventually(t, func() bool { // it has set its trap
				e, ok := w.table.BySession(session)
				return ok && time.Since(e.Started) > 700*time.Millisecond
			}, 60*time.Second, 10*time.Millisecond)
			e, ok := w.table.BySession(session)
			require.True(t, ok)
			if drainFirst {
				w.Drain()
			}
			require.NoError(t, syscall.Kill(e.PID, syscall.SIGTERM))
			if !drainFirst {
				<-e.Run.Done()
				w.Drain()
			}
			require.NoError(t, <-w.ended)
			require.Equal(t, []string{"handed_back"}, w.outcomes(t, session))
			w = b.worker(nil)
			w.running(t, session) // elsewhere, again
		})
	}
}

func TestATermedRunDuringALongDrainIsOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.worker(func(c *Config) { c.DrainTimeout = time.Minute })
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 1m")})
	w.running(t, session)
	w.Drain()
	began := time.Now()
	require.Eventually(t, func() bool { return time.Since(began) > 2*termAttribution }, 60*time.Second, 10*time.Millisecond)
	e, ok := w.table.BySession(session)
	require.True(t, ok)
	require.NoError(t, syscall.Kill(e.PID, syscall.SIGTERM))
	require.NoError(t, <-w.ended)
	require.Equal(t, string(Terminated), w.finals(t, session, 1)[seq].Outcome)
}
