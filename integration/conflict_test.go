package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestReplace: a newer job takes over within the grace period and two seconds, also where no slot is free.
func TestReplace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		workers int
		slots   int
		busy    int // other sessions that fill slots
		script  []string
	}{
		{name: "one worker, one slot", workers: 1, slots: 1, script: []string{"sleep 10m"}},
		{name: "one slot, SIGTERM ignored", workers: 1, slots: 1, script: []string{"ignore-term", "sleep 10m"}},
		{name: "across workers", workers: 2, slots: 2, script: []string{"ignore-term", "sleep 10m"}},
		{name: "across full workers", workers: 2, slots: 1, busy: 1, script: []string{"sleep 10m"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, sharedStack(t))
			slots := workerOptions{args: []string{"--concurrency", fmt.Sprint(c.slots)}}
			for i := range c.workers {
				w.worker(fmt.Sprint("w", i), slots)
			}
			release := w.gate("release")
			for range c.busy {
				w.untilStart(w.publish(newSession(), script("await "+release)), 1)
			}
			session := newSession()
			live := w.publish(session, script(c.script...), wants("replaced"))
			w.untilStart(live, 1)
			var waiting []*job
			for range 3 {
				waiting = append(waiting, w.publish(session, "older", neverRuns("replaced")))
			}
			takeover := w.publish(session, "newer", conflict("replace"))
			start := w.untilStart(takeover, 1)
			require.Less(t, start.At.Sub(takeover.At), grace+2*time.Second, "the takeover took too long")
			w.untilFinal(append(waiting, live, takeover)...)
			w.publish(session, "the session goes on")
			w.open(release)
			w.finish()
			require.Len(t, w.runsOf(live), 1)
		})
	}
}

// TestReplaceBackoff: where nothing runs, what waits is replaced all the same, and a backoff does not hold it up.
func TestReplaceBackoff(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t), func(c *config) { c.Retry.Backoff, c.Retry.MaxBackoff = "5m", "5m" })
	w.worker("w1")
	session := newSession()
	crashed := w.publish(session, script("exit 1"), wants("replaced"))
	w.until(patience, func() bool { return len(w.eventsOf(crashed, "retrying")) == 1 }, "the backoff")
	older := w.publish(session, "older", neverRuns("replaced"))
	w.untilFinal(w.publish(session, "newer", conflict("replace")), crashed, older)
	w.finish()
}

// TestReject: a job that wants no company is refused at once while a run is live, and disturbs nobody.
func TestReject(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	slots := workerOptions{args: []string{"--concurrency", "1"}}
	w.worker("w1", slots)
	session, release := newSession(), w.gate("release")
	live := w.publish(session, script("await "+release))
	w.untilStart(live, 1)
	waiting := w.publish(session, "waits its turn")
	refused := w.publish(session, "not now", conflict("reject"), neverRuns("rejected"))
	end := w.untilFinal(refused)
	require.Less(t, end.At.Sub(refused.At), 2*time.Second)
	w.until(patience, func() bool { return len(w.lettersOf(refused)) == 1 }, "the dead letter")

	w.worker("w2", slots) // refused by one that has a free slot and not the session
	again := w.publish(session, "nor now", conflict("reject"), neverRuns("rejected"))
	end = w.untilFinal(again)
	require.Less(t, end.At.Sub(again.At), 2*time.Second)

	_, over := w.final(live)
	require.False(t, over, "the live run was disturbed")
	w.open(release)
	w.untilFinal(live, waiting)
	w.until(patience, func() bool { return w.rest().clean() }, "the session is idle")
	w.publish(session, "now it may", conflict("reject"))
	w.finish()
	require.Len(t, w.runsOf(live), 1)
}
