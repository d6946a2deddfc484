package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKilledAnywhere: kill -9 at each step of a job's life. In the end each job has one final event, one dead letter at
// most, and nothing is left over.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	good, bad := script("sleep 20ms"), script("exit 127")
	for _, c := range []struct {
		step   string
		name   string
		script string
		want   string
		runs   int // of the first job, at most
	}{
		{"open", "success", good, "succeeded", 2},
		{"spawn", "success", good, "succeeded", 2},
		{"exit", "success", good, "succeeded", 2},
		{"close", "success", good, "succeeded", 2},
		{"event", "success", good, "succeeded", 1},
		{"remove", "success", good, "succeeded", 1},
		{"release", "success", good, "succeeded", 1},
		{"exit", "burial", bad, "misconfigured", 2},
		{"close", "burial", bad, "misconfigured", 2},
		{"deadletter", "burial", bad, "misconfigured", 1},
		{"event", "burial", bad, "misconfigured", 1},
		{"remove", "burial", bad, "misconfigured", 1},
		{"open:2", "success of the second", good, "succeeded", 1},
		{"event:2", "success of the second", good, "succeeded", 1},
		{"remove:2", "burial of the second", bad, "misconfigured", 1},
	} {
		t.Run(c.step+" "+c.name, func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, sharedStack(t))
			doomed := w.worker("doomed", killAt(c.step))
			session := newSession()
			first := w.publish(session, c.script, wants(c.want), repeatable())
			second := w.publish(session, c.script, wants(c.want), repeatable())
			code, ended := doomed.wait(patience)
			require.True(t, ended, "the worker did not reach the step %s", c.step)
			require.Equal(t, 137, code)
			w.worker("w2")
			w.untilFinal(first, second)
			w.publish(session, "the session goes on")
			w.finish()
			require.LessOrEqual(t, len(w.runsOf(first)), c.runs)
			require.LessOrEqual(t, len(w.runsOf(first))+len(w.runsOf(second)), 3)
		})
	}
}

// TestKilledLive: the subprocess does not outlive its worker, and its job is run again.
func TestKilledLive(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	doomed := w.worker("doomed")
	j := w.publish(newSession(), script("ignore-term", "@1 sleep 10m"))
	w.untilStart(j, 1)
	w.worker("w2")
	doomed.kill9()
	killed := time.Now()
	again := w.untilStart(j, 2)
	require.Less(t, again.At.Sub(killed), leaseTTL+ackWait+busyDelay+30*time.Second, "taken over late")
	w.finish()
}

// TestKilledInBackoff: the wait and the count of failures are not the worker's to take along.
func TestKilledInBackoff(t *testing.T) {
	t.Parallel()
	share(t)
	const backoff = 4 * time.Second
	w := newWorld(t, sharedStack(t), func(c *config) {
		c.Retry.Backoff, c.Retry.MaxBackoff, c.Retry.Attempts = backoff.String(), backoff.String(), 2
	})
	doomed := w.worker("doomed")
	recovers := w.publish(newSession(), script("@1 exit 1"))
	gives := w.publish(newSession(), script("exit 1"), wants("crashed"))
	for _, j := range []*job{recovers, gives} {
		w.until(patience, func() bool { return len(w.eventsOf(j, "retrying")) == 1 }, "the backoff of %s", j.Name)
	}
	doomed.kill9()
	w.worker("w2")
	for _, j := range []*job{recovers, gives} {
		w.publish(j.Session, "news of the session, which has to wait all the same")
	}
	w.finish()
	for _, j := range []*job{recovers, gives} {
		runs := w.runsOf(j)
		require.Len(t, runs, 2)
		require.GreaterOrEqual(t, runs[1].At.Sub(runs[0].Finish), backoff*3/4, "the backoff was forgotten")
	}
}

// TestKilledThreeTimes: a job whose worker dies each time is set aside before it takes the fleet down.
func TestKilledThreeTimes(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	j := w.job(newSession(), "poison", wants("crashed"), repeatable())
	for n := range 3 {
		x := w.worker("doomed"+string(rune('1'+n)), killAt("exit"))
		if n == 0 {
			require.NoError(t, w.send(j))
		}
		_, ended := x.wait(patience)
		require.True(t, ended, "attempt %d", n+1)
	}
	w.worker("w4")
	w.finish()
	require.Len(t, w.runsOf(j), 3)
}

// TestKilledWhileEnding: a session that is being ended, by its curfew or by order, is ended all the same when the worker
// that does it dies half way: a letter and a final event for each job, once, and one event for the session.
func TestKilledWhileEnding(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"close", "deadletter", "deadletter:3", "event", "event:3", "remove", "release"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, sharedStack(t), func(c *config) {
				a := c.Agents["default"]
				a.MaxAge = "1500ms"
				c.Agents["short"] = a
			})
			doomed := w.worker("doomed", killAt(step))
			session := newSession()
			live := w.publish(session, script("sleep 10m"), forAgent("short"), wants("expired"))
			w.untilStart(live, 1)
			for range 4 {
				w.publish(session, "waits", forAgent("short"), neverRuns("expired"))
			}
			poll(4*time.Second, func() bool { return !doomed.alive() }) // not every step is on this way
			doomed.kill9()
			w.worker("w2")
			w.publish(session, "later", neverRuns("expired"))
			w.finish()
			require.Len(t, w.expiries(session), 1)
		})
	}
}
