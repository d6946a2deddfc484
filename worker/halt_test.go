package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
)

// halt puts the brake on as the command does, with or without the nudge.
func (s *started) halt(t *testing.T, on, nudge bool) registry.Halt {
	t.Helper()
	h, changed, err := s.records.SetHalt(t.Context(), registry.Halt{On: on, Reason: "a test", At: time.Now().UTC()})
	require.NoError(t, err)
	require.True(t, changed)
	if nudge {
		require.NoError(t, s.q.NudgeFleet(t.Context()))
	}
	return h
}

func TestAHaltStopsWhatRunsAndKeepsItsJob(t *testing.T) {
	t.Parallel()
	for name, nudge := range map[string]bool{"nudged": true, "the nudge is lost": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBench(t).worker(nil)
			session := newSession()
			seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 3s")})
			next := w.publish(t, queue.NewJob{Session: session})
			w.running(t, session)
			began := time.Now()
			h := w.halt(t, true, nudge)
			require.Eventually(t, func() bool {
				p := w.Presence()
				return p.State == StateHalted && p.Live == 0 && p.Halt == h.Revision
			}, 30*time.Second, 5*time.Millisecond)
			t.Logf("all stopped %s after the order", time.Since(began).Round(time.Millisecond))
			require.Equal(t, 1, w.Presence().HaltStopped)
			require.ErrorContains(t, w.Ready(), "a test")
			var rec registry.Snapshot
			require.Eventually(t, func() bool {
				var err error
				rec, err = w.records.Get(t.Context(), session)
				return err == nil && rec.Run == nil
			}, 30*time.Second, 5*time.Millisecond)
			require.Zero(t, rec.Failures)
			require.Zero(t, rec.NotBefore, "it waits for an order, not for a time")
			other := newSession()
			third := w.publish(t, queue.NewJob{Session: other})

			w.halt(t, false, nudge)
			require.Equal(t, string(Succeeded), w.finals(t, session, 2)[seq].Outcome)
			require.Equal(t, string(Succeeded), w.finals(t, session, 2)[next].Outcome)
			require.Equal(t, string(Succeeded), w.finals(t, other, 1)[third].Outcome)
			require.Equal(t, []string{"handed_back", "succeeded", "succeeded"}, w.outcomes(t, session))
			require.Empty(t, w.letters(t, session))
			w.empty(t)
		})
	}
}

// A worker that has not heard of a halt, because it starts or because no nudge
// reached it, asks before each run.
func TestNothingStartsAfterAHaltWasWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	deaf := func(c *Config) { c.Lease.Renew = c.Lease.TTL / 3 }
	first := b.worker(deaf)
	warm := newSession()
	first.publish(t, queue.NewJob{Session: warm})
	first.finals(t, warm, 1)
	first.halt(t, true, false) // and the first worker does not know
	session := newSession()
	seq := first.publish(t, queue.NewJob{Session: session})
	require.Eventually(t, func() bool { return first.Presence().State == StateHalted }, 30*time.Second, 5*time.Millisecond)
	late := b.worker(func(c *Config) { c.ID = "late" })
	require.Eventually(t, func() bool { return late.Presence().State == StateHalted }, 30*time.Second, 5*time.Millisecond)
	w, err := late.q.Waiting(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, w[session])
	_, err = late.Sweep(t.Context(), false)
	require.ErrorIs(t, err, ErrHalted, "the sweeper rests")

	late.halt(t, false, true)
	require.Equal(t, string(Succeeded), late.finals(t, session, 1)[seq].Outcome)
	started := 0
	require.NoError(t, late.q.Events(t.Context(), session, time.Time{}, false, func(e queue.Event) error {
		if e.Type == "started" {
			started++
		}
		return nil
	}))
	require.Equal(t, 1, started, "only after the halt")
}

func TestBrakeDoesNotBelieveOldNews(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := newBrake()
	require.True(t, b.saw(registry.Halt{On: true, Revision: 7}, now))
	require.False(t, b.saw(registry.Halt{Revision: 3}, now), "a stale answer")
	require.True(t, b.isOn())
	require.True(t, isClosed(b.halted()))
	require.False(t, isClosed(b.released()))
	require.False(t, b.saw(registry.Halt{Revision: 3}, now.Add(unbelieved-1)))
	require.True(t, b.saw(registry.Halt{}, now.Add(unbelieved)), "the bucket was made anew")
	require.False(t, b.isOn())
	require.True(t, isClosed(b.released()))
	require.False(t, isClosed(b.halted()))
}
