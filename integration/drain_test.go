package integration

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDrain: SIGTERM to the worker lets runs finish for a while; what is left runs on another worker at once.
func TestDrain(t *testing.T) {
	t.Parallel()
	share(t)
	const drain = 2 * time.Second
	w := newWorld(t, sharedStack(t), func(c *config) { c.Worker.DrainTimeout = drain.String() })
	first := w.worker("w1")
	var quick, long []*job
	for range 2 {
		quick = append(quick, w.publish(newSession(), script("sleep 1s")))
		long = append(long, w.publish(newSession(), script("@1 sleep 10m")))
	}
	behind := w.publish(long[0].Session, "waits behind a long one")
	for _, j := range append(quick, long...) {
		w.untilStart(j, 1)
	}
	w.worker("w2")

	told := time.Now()
	first.signal(termSignal)
	code, ended := first.wait(drain + grace + 60*time.Second)
	require.True(t, ended, "the drain took too long")
	require.Zero(t, code)
	for _, j := range long {
		again := w.untilStart(j, 2)
		require.Less(t, again.At.Sub(told), drain+grace+30*time.Second, "taken over late")
		require.Equal(t, 2, again.Attempt)
	}
	w.untilFinal(behind)
	w.finish()
	for _, j := range quick {
		require.Len(t, w.runsOf(j), 1, "was allowed to finish")
	}
}

// TestSixDrains: a job that is handed back again and again has not failed: it still has all its attempts.
func TestSixDrains(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t), func(c *config) { c.Worker.DrainTimeout = "50ms" })
	var j *job
	for n := 1; n <= 6; n++ {
		x := w.worker(fmt.Sprint("w", n))
		if j == nil {
			j = w.publish(newSession(), script("@-6 sleep 10m", "@7 exit 1"))
		}
		w.untilStart(j, n)
		w.stop(x)
		_, over := w.final(j)
		require.False(t, over, "drain %d ended the job", n)
	}
	w.worker("w7")
	w.finish()
	require.Len(t, w.runsOf(j), 8)
	require.Empty(t, w.readLetters())
}

// TestOnDrain: the operator may choose that a drained job is over, or set aside.
func TestOnDrain(t *testing.T) {
	t.Parallel()
	share(t)
	for _, c := range []struct {
		onDrain string
		letters int
	}{{"ack", 0}, {"dead", 1}} {
		w := newWorld(t, sharedStack(t), func(c2 *config) { c2.Worker.DrainTimeout, c2.Worker.OnDrain = "50ms", c.onDrain })
		first := w.worker("w1")
		j := w.publish(newSession(), script("sleep 10m"), wants("handed_back"))
		next := w.publish(j.Session, "next")
		w.untilStart(j, 1)
		w.stop(first)
		w.untilFinal(j)
		w.worker("w2")
		w.untilFinal(next)
		w.finish()
		require.Len(t, w.lettersOf(j), c.letters, "on_drain: %s", c.onDrain)
		require.Len(t, w.runsOf(j), 1)
	}
}

// TestTermToBoth: systemd and Ctrl-C signal worker and subprocess at once. That is a drain, whoever hears it first.
func TestTermToBoth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		childFirst bool
		script     []string
	}{
		{"worker first, traps", false, []string{"@1 term-exit 143 5ms"}},
		{"child first, traps", true, []string{"@1 term-exit 143 5ms"}},
		{"child first, dies by it", true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, sharedStack(t))
			first := w.worker("w1")
			armed := w.gate("armed")
			j := w.publish(newSession(), script(append(c.script, "touch "+armed, "@1 sleep 10m")...))
			next := w.publish(j.Session, "next")
			w.until(patience, func() bool { return exists(armed) }, "running")
			child := w.untilStart(j, 1).PID
			w.worker("w2")
			both := []int{first.pid(), child}
			if c.childFirst {
				both = []int{child, first.pid()}
			}
			for _, pid := range both {
				require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
			}
			code, ended := first.wait(patience)
			require.True(t, ended)
			require.Zero(t, code)
			w.untilFinal(j, next)
			require.Len(t, w.runsOf(j), 2, "handed back and run again")
			w.finish()
		})
	}
}

// TestSecondTerm: the second SIGTERM to the worker means now.
func TestSecondTerm(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t), func(c *config) { c.Worker.DrainTimeout = "5m" })
	first := w.worker("w1")
	j := w.publish(newSession(), script("@1 sleep 10m"))
	w.untilStart(j, 1)
	first.signal(termSignal)
	w.never(500*time.Millisecond, func() bool { return !first.alive() }, "the drain did not wait")
	first.signal(termSignal)
	_, ended := first.wait(grace + 60*time.Second)
	require.True(t, ended, "the second SIGTERM changed nothing")
	w.worker("w2")
	w.finish()
	require.Len(t, w.runsOf(j), 2)
}
