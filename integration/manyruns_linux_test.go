package integration

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// supervisorMemory is the most that the supervisor may have at any time, in KiB.
const supervisorMemory = 10 << 10

// leaver is an agent that ends well and leaves two behind: one that ends by itself, orphaned, and one that would not.
const leaver = `(sleep 0.01 &); setsid sleep 300 & exit 0`

// TestManyRuns: after thousands of runs worker and supervisor have what they had after the first hundred.
func TestManyRuns(t *testing.T) {
	t.Parallel()
	share(t)
	const sessions, warm = 20, 100
	port, err := freePort()
	require.NoError(t, err)
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) {
		c.Log.Level = "info"
		c.HTTP.Listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		a := c.Agents["default"]
		a.Command = []string{"/bin/sh", "-c", leaver}
		a.Env.Set = map[string]string{"PATH": os.Getenv("PATH")}
		c.Agents = map[string]agentConfig{"default": a}
	})
	temp := w.dir + "/tmp"
	require.NoError(t, os.Mkdir(temp, 0o700))
	bin, err := lab.curfewPlain()
	require.NoError(t, err)
	x := w.launchBinary(bin, "w1", workerOptions{env: []string{"TMPDIR=" + temp}})
	w.untilReady(x)

	var finals, bad atomic.Int64
	w.onFinal(func(e event) {
		if e.Outcome != "succeeded" {
			bad.Add(1)
		}
		finals.Add(1)
	})
	names := make([]string, sessions)
	for i := range names {
		names[i] = newSession()
	}
	published, largest, of := 0, 0, ""
	measure := func() int {
		rss := memoryOf(x.pid(), "VmRSS")
		if rss > largest {
			largest, of = rss, fmt.Sprint(memoryOf(x.pid(), "RssAnon"), " its own, ", memoryOf(x.pid(), "RssFile"), " of files")
		}
		return rss
	}
	run := func(n int) {
		for ; n > 0; n -= 100 {
			part := min(n, 100)
			for i := range part {
				_, err := w.js.Publish(w.ctx(), w.jobSubject(names[i%sessions]), []byte("x"))
				require.NoError(t, err)
			}
			published += part
			w.until(patience, func() bool { measure(); return finals.Load() >= int64(published) }, "%d runs are over", published)
		}
	}
	look := func() census {
		return x.census(t, fmt.Sprintf("http://127.0.0.1:%d/metrics", port), w.dir+"/data", w.dir+"/run", temp)
	}
	run(warm)
	// What is about to go takes its time; what leaks stays.
	settled := func(limit census) (c census) {
		poll(patience, func() bool { c = look(); return c.within(limit) })
		return c
	}
	before := settled(census{WorkerFiles: 1 << 20, SupervisorFiles: 1 << 20, Goroutines: 1 << 20, Threads: 1 << 20, Processes: 1, Cgroups: 1, Files: 1 << 20})
	begin, rss := time.Now(), measure()
	count := sized(300, 10_000)
	run(count)
	took := time.Since(begin)
	limit := before
	limit.Goroutines += 5 // the HTTP server's, of the look itself
	limit.WorkerFiles += 5
	limit.Threads += 30 // Go makes them as the machine's load asks for them and keeps them
	after := settled(limit)
	t.Logf("%d runs in %s", count, took.Round(100*time.Millisecond))
	t.Logf("before: %+v", before)
	t.Logf("after:  %+v", after)
	t.Logf("supervisor: %d KiB before, %d after, %d at most (%s); worker: %d KiB now, %d at most",
		rss, measure(), largest, of, memoryOf(x.inner(), "VmRSS"), memoryOf(x.inner(), "VmHWM"))
	require.True(t, after.within(limit), "more than before: %+v, then %+v", before, after)
	require.Zero(t, bad.Load(), "runs that did not succeed")
	require.Equal(t, 1, after.Processes, "the worker, and nothing else below the supervisor")
	require.Positive(t, largest)
	require.LessOrEqual(t, largest, supervisorMemory, "KiB of the supervisor")
	require.Less(t, memoryOf(x.inner(), "VmHWM"), workerMemory, "KiB of the worker")
	w.stopAll()
}

// within says that there is no more of anything.
func (c census) within(limit census) bool {
	return c.WorkerFiles <= limit.WorkerFiles && c.SupervisorFiles <= limit.SupervisorFiles && c.Goroutines <= limit.Goroutines &&
		c.Threads <= limit.Threads && c.Processes <= limit.Processes && c.Zombies <= limit.Zombies && c.Cgroups <= limit.Cgroups && c.Files <= limit.Files
}
