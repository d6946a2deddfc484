package integration

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFrozenWorker: a worker that stands still loses its subprocess before another one may begin, and starts and writes
// nothing when it wakes.
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	frozen := w.worker("frozen")
	release := w.gate("release")
	j := w.publish(newSession(), script("ignore-term", "@1 sleep 10m", "@2 await "+release), repeatable())
	first := w.untilStart(j, 1)
	inner := frozen.inner()
	require.NotEqual(t, frozen.pid(), inner, "there is a supervisor")
	require.NoError(t, syscall.Kill(inner, syscall.SIGSTOP))
	deadline := w.leaseUntil(j.Session).Add(-leaseMargin)
	w.worker("w2")
	late := w.publish(newSession(), "while it stands still")
	behind := w.publish(j.Session, "behind the one that was lost")

	w.until(patience, func() bool { return !lives(first.PID) }, "the frozen worker's subprocess is gone")
	t.Logf("gone %s after its lease's deadline", time.Since(deadline).Round(time.Millisecond))
	again := w.untilStart(j, 2)
	require.NotEqual(t, first.Worker, again.Worker)
	require.False(t, again.At.Before(deadline), "granted while the frozen worker could trust its lease")
	w.untilFinal(late)

	require.NoError(t, syscall.Kill(inner, syscall.SIGCONT))
	woken := time.Now()
	w.until(patience, func() bool { return strings.Contains(frozen.output(), "the lease was lost") }, "it knows that it lost the session")
	w.open(release)
	w.untilFinal(j, behind)
	for _, e := range w.readEvents() {
		if e.Session == j.Session && e.Worker == first.Worker {
			require.Equal(t, "started", e.Type, "%s", e)
			require.True(t, e.At.Before(woken), "%s", e)
		}
	}
	require.Len(t, w.runsBy(first.Worker), 1, "it started nothing late")
	require.Len(t, w.runsOf(j), 2)
	w.finish()
}

// runsBy are the subprocesses that a worker started.
func (w *world) runsBy(worker string) (out []run) {
	for _, r := range w.runs() {
		if r.Worker == worker {
			out = append(out, r)
		}
	}
	return out
}

// leaseUntil is when the session's lease runs out, by the clock of Redis, which is this machine's.
func (w *world) leaseUntil(session string) time.Time {
	w.t.Helper()
	c := w.stack.redis.client()
	defer c.Close()
	text, err := c.HGet(w.ctx(), w.ns+":{"+session+"}:lease", "until").Result()
	require.NoError(w.t, err)
	ms, err := strconv.ParseInt(text, 10, 64)
	require.NoError(w.t, err)
	return time.UnixMilli(ms)
}
