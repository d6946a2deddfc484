package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTooOldAtArrival: a session that began 13 hours ago runs nothing, now or later.
func TestTooOldAtArrival(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.worker("w1")
	old, young := newSession(), newSession()
	first := w.publish(old, "too late", createdAgo(13*time.Hour), neverRuns("expired"))
	w.untilFinal(first)
	w.until(patience, func() bool { return len(w.lettersOf(first)) == 1 }, "the dead letter")
	require.Contains(t, w.lettersOf(first)[0].Reason, "expired")

	w.publish(old, "later, and silent about its age", neverRuns("expired"))
	w.publish(young, "the limit is strict, and not reached", createdAgo(4*time.Hour-time.Minute))
	w.finish()
	require.Equal(t, "expired", w.record(old).Tombstone.Why)
}

// TestExpiresLive: at the curfew the live run is stopped, and it and what waits becomes a dead letter, once each.
func TestExpiresLive(t *testing.T) {
	t.Parallel()
	share(t)
	const age = 4 * time.Second
	w := newWorld(t, sharedStack(t), func(c *config) {
		a := c.Agents["default"]
		a.MaxAge = age.String()
		c.Agents["short"] = a
	})
	w.worker("w1")
	polite, stubborn := newSession(), newSession()
	live := []*job{
		w.publish(polite, script("sleep 10m"), forAgent("short"), wants("expired")),
		w.publish(stubborn, script("ignore-term", "sleep 10m"), forAgent("short"), wants("expired")),
	}
	var waiting []*job
	for range 3 {
		for _, s := range []string{polite, stubborn} {
			waiting = append(waiting, w.publish(s, "waits", forAgent("short"), neverRuns("expired")))
		}
	}
	for _, j := range live {
		w.untilStart(j, 1)
	}
	for _, j := range live {
		end := w.untilFinal(j)
		lived := end.At.Sub(j.At)
		require.Greater(t, lived, age-100*time.Millisecond, "stopped before its curfew")
		require.Less(t, lived, age+grace+4*time.Second, "lived on past its curfew")
	}
	w.untilFinal(waiting...)
	for _, j := range append(live, waiting...) {
		w.until(patience, func() bool { return len(w.lettersOf(j)) == 1 }, "the dead letter of %s", j.Name)
		require.Contains(t, w.lettersOf(j)[0].Reason, "expired")
	}
	w.until(patience, func() bool { return w.rest().clean() }, "their jobs are gone")
	for _, s := range []string{polite, stubborn} {
		require.Len(t, w.expiries(s), 1, "one event for the session")
		w.publish(s, "later", forAgent("short"), neverRuns("expired"))
		w.publish(s, "and later", neverRuns("expired"))
	}
	w.finish()
}

// TestAgeOutlivesEverything: neither new workers nor younger jobs nor an empty Redis make a session young again.
func TestAgeOutlivesEverything(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, ownStack(t, anyRedis))
	first := w.worker("w1")
	old, cancelled, fresh := newSession(), newSession(), newSession()

	curfew := time.Now().Add(8 * time.Second)
	began := curfew.Add(-4 * time.Hour)
	w.untilFinal(w.publish(old, "in time", createdAt(began)))
	w.untilFinal(w.publish(cancelled, "in time"))
	w.must("cancel", cancelled)
	require.WithinDuration(t, began, w.record(old).CreatedAt, time.Second)

	w.stop(first)
	second := w.worker("w2")
	if time.Now().Before(curfew.Add(-2 * time.Second)) {
		w.untilFinal(w.publish(old, "younger", createdAgo(0)))
	}
	require.NoError(t, w.stack.redis.flush(t.Context()))
	require.WithinDuration(t, began, w.record(old).CreatedAt, time.Second, "a younger job made the session younger")
	w.until(patience, func() bool { return time.Now().After(curfew.Add(100 * time.Millisecond)) }, "the curfew")
	w.untilFinal(
		w.publish(old, "past it", createdAgo(0), neverRuns("expired")),
		w.publish(cancelled, "past it", neverRuns("cancelled")))

	require.NoError(t, w.stack.redis.flush(t.Context()))
	w.stop(second)
	w.worker("w3")
	w.publish(old, "still", neverRuns("expired"))
	w.publish(cancelled, "still", neverRuns("cancelled"))
	w.publish(fresh, "others are not concerned")
	w.finish()
}
