package integration

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// roll is what `curfew workers ls` prints of a worker.
type roll struct {
	ID    string
	State string
	Live  int
}

// jobsLeft counts the jobs in the stream.
func (w *world) jobsLeft() (n int) {
	w.t.Helper()
	s, err := w.js.Stream(w.ctx(), w.stream("JOBS"))
	require.NoError(w.t, err)
	info, err := s.Info(w.ctx(), jetstream.WithSubjectFilter(w.jobSubject("*")))
	require.NoError(w.t, err)
	for _, of := range info.State.Subjects {
		n += int(of)
	}
	return n
}

// TestHalt: the brake stops fifty live sessions on five workers, keeps every job, and holds off workers that start later.
func TestHalt(t *testing.T) {
	t.Parallel()
	alone(t)
	const workers, slots, age = 5, 10, 3 * time.Second
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) {
		c.Log.Level = "info"
		c.Worker.Concurrency = slots
		a := c.Agents["default"]
		a.Grace = "3s"
		c.Agents["default"] = a
		a.MaxAge = age.String()
		c.Agents["short"] = a
	})
	var started []*worker
	for i := range workers {
		started = append(started, w.launch(fmt.Sprint("w", i)))
	}
	for _, x := range started {
		w.untilReady(x)
	}
	var live []*job
	for range workers * slots {
		live = append(live, w.publish(newSession(), script("@1 sleep 1h")))
	}
	for _, j := range live {
		w.untilStart(j, 1)
	}
	next := w.publish(live[0].Session, "waits behind a live one")

	began := time.Now()
	var order struct{ Workers, Stopped, Live int }
	w.mustJSON(&order, "halt", "--reason", "drill")
	took := time.Since(began)
	t.Logf("halt of %d live sessions on %d workers: %s", len(live), workers, took.Round(time.Millisecond))
	require.Equal(t, workers, order.Workers)
	require.Equal(t, len(live), order.Stopped)
	require.Zero(t, order.Live)
	for _, r := range w.runs() {
		require.ErrorIs(t, syscall.Kill(r.PID, 0), syscall.ESRCH, "run %v lives on", r)
	}
	require.Less(t, took, patience)

	during := []*job{next}
	for range 10 {
		during = append(during, w.publish(newSession(), "published during the halt"))
	}
	old := w.publish(newSession(), "too old after the halt", forAgent("short"), neverRuns("expired"))
	w.worker("late")
	w.until(patience, func() bool {
		var rolls []roll
		w.mustJSON(&rolls, "workers", "ls")
		halted := 0
		for _, r := range rolls {
			if r.State == "halted" && r.Live == 0 {
				halted++
			}
		}
		return halted == workers+1
	}, "every worker says that it is halted")
	w.until(patience, func() bool { return time.Since(old.At) > age+2*time.Second }, "two rounds of a sweeper that does not rest")
	require.Len(t, w.runs(), len(live), "something started during the halt")
	require.Equal(t, len(live)+len(during)+1, w.jobsLeft(), "every job is there")
	for _, j := range append(live, old) {
		_, over := w.final(j)
		require.False(t, over, "job %s ended in the halt", j.Name)
	}

	began = time.Now()
	w.must("unhalt")
	w.untilFinal(append(append(during, live...), old)...)
	t.Logf("after unhalt %d jobs were over in %s", len(live)+len(during)+1, time.Since(began).Round(time.Millisecond))
	w.finish()
	for _, r := range w.runs() {
		require.LessOrEqual(t, r.Attempt, 2, "%v", r)
	}
}
