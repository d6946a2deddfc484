package integration

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var fullFleet = flag.Bool("fleet", false, "TestFleet runs at its full size: 20 workers, 2000 sessions, 20 000 jobs")

// TestFleet: ten workers, fifty sessions, a thousand jobs; with -fleet twenty, two thousand, and twenty thousand.
func TestFleet(t *testing.T) {
	t.Parallel()
	alone(t)
	workers, sessions, each, bound := 10, 50, 20, 3*time.Minute
	if *fullFleet {
		workers, sessions, each, bound = 20, 2000, 10, 30*time.Minute
	}
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) {
		c.Log.Level = "info"
		c.Session.SweepEvery = "30s"
	})
	var started []*worker
	for i := range workers {
		started = append(started, w.launch(fmt.Sprint("w", i)))
	}
	for _, x := range started {
		w.untilReady(x)
	}
	began, servers := time.Now(), []int{w.stack.nats.proc.pid()}
	if w.stack.redis.proc != nil {
		servers = append(servers, w.stack.redis.proc.pid())
	}
	var before []time.Duration
	for _, pid := range servers {
		before = append(before, statCPU(pid))
	}
	var producers sync.WaitGroup
	failed := make(chan error, sessions)
	for range sessions {
		producers.Go(func() {
			session := newSession()
			for i := range each {
				if err := w.send(w.job(session, script(fmt.Sprintf("sleep %dms", rand.IntN(10)), fmt.Sprintf("print %d", i)))); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	producers.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	w.until(bound, func() bool {
		finals := 0
		for _, e := range w.readEvents() {
			if e.Final {
				finals++
			}
		}
		return finals >= sessions*each
	}, "%d final events", sessions*each)
	took := time.Since(began)
	for i, name := range []string{"nats-server", "redis-server"}[:len(servers)] {
		cpu := statCPU(servers[i]) - before[i]
		t.Logf("%s: %s of CPU, %.1f %% of a core", name, cpu, 100*cpu.Seconds()/took.Seconds())
	}
	t.Logf("%d workers, %d sessions, %d jobs in %s: %.0f jobs/s", workers, sessions, sessions*each, took.Round(time.Second), float64(sessions*each)/took.Seconds())
	w.finish()

	busy := map[string]int{}
	for _, r := range w.runs() {
		busy[r.Worker]++
	}
	require.Greater(t, len(busy), workers/2, "most workers had work: %v", busy)
	require.Len(t, w.runs(), sessions*each, "no run was lost or given up")
}

// TestQueueKillsNobody: many jobs of one session on one worker run one after the other, each to its end.
func TestQueueKillsNobody(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.worker("w1")
	session := newSession()
	for range 20 {
		w.publish(session, script("term-exit 99 0s", "sleep 30ms"))
	}
	w.finish()
	runs := w.runs()
	require.Len(t, runs, 20)
	for _, r := range runs {
		require.True(t, r.Ended && r.Exit == 0 && r.Attempt == 1, "%v", r)
	}
}
