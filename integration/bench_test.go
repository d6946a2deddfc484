package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"curfew/worker/process"
)

// How fast jobs go through, beside what the same machine does without Curfew, in the same run: docs/benchmarks.md says how
// to read the figures. The program is built as it is shipped.

const (
	benchConcurrency = 4
	benchJobs        = 1000 // a round
)

// released makes a namespace with the times of a production worker.
func released(b *testing.B, command ...string) *world {
	b.Helper()
	return newWorld(b, sharedStack(b), patientLease, func(c *config) {
		c.Log.Level = "info"
		c.Worker.Concurrency = benchConcurrency
		c.Session.SweepEvery = "30s"
		c.Queue.AckWait, c.Queue.BusyDelay = "30s", "30s"
		c.Agents = map[string]agentConfig{"default": {Command: command, Grace: "10s"}}
	})
}

func (w *world) releasedWorker() *worker {
	w.t.Helper()
	bin, err := lab.curfewPlain()
	require.NoError(w.t, err)
	x := w.launchBinary(bin, "w1")
	w.untilReady(x)
	return x
}

// onFinal calls f with every final event; a plain subscription costs the machine least.
func (w *world) onFinal(f func(event)) {
	w.t.Helper()
	_, err := w.nc.Subscribe(w.ns+".events.>", func(m *nats.Msg) {
		if !bytes.Contains(m.Data, []byte(`"final":true`)) {
			return
		}
		var e event
		if json.Unmarshal(m.Data, &e) == nil {
			f(e)
		}
	})
	require.NoError(w.t, err)
	require.NoError(w.t, w.nc.Flush())
}

// BenchmarkJobs: jobs a second with a subprocess that does nothing, all guards on, at the same concurrency as the bare loop
// beside it.
func BenchmarkJobs(b *testing.B) {
	for _, sessions := range []int{50, benchJobs} {
		b.Run(fmt.Sprintf("jobs=%d/sessions=%d", benchJobs, sessions), func(b *testing.B) {
			w := released(b, "/bin/true")
			x := w.releasedWorker()
			var done atomic.Int64
			reached := make(chan struct{}, 1)
			var want atomic.Int64
			w.onFinal(func(e event) {
				if e.Outcome != "succeeded" {
					b.Errorf("%s", e)
				}
				if done.Add(1) == want.Load() {
					reached <- struct{}{}
				}
			})
			var ours, bare, guarded stretch
			shares := w.processes(x)
			before := cpuEach(shares)
			for b.Loop() {
				bare.measure(nil, bareRuns)
				guarded.measure(nil, guardedRuns)
				want.Add(benchJobs)
				ours.measure(pids(shares), func() error {
					if err := w.flood(sessions); err != nil {
						return err
					}
					select {
					case <-reached:
						return nil
					case <-time.After(patience):
						return fmt.Errorf("%d of %d jobs ended", done.Load(), want.Load())
					}
				})
			}
			for _, s := range []*stretch{&ours, &bare, &guarded} {
				require.NoError(b, s.err)
			}
			b.ReportMetric(0, "ns/op") // a round is no operation
			b.ReportMetric(ours.rate(), "jobs/s")
			b.ReportMetric(bare.rate(), "bare/s")
			b.ReportMetric(ours.rate()/bare.rate(), "of-bare")
			b.ReportMetric(ours.rate()/guarded.rate(), "of-guarded")
			if ours.cpu > 0 {
				b.ReportMetric(ours.cpuPerJob(), "cpu-ms/job")
				b.ReportMetric(ours.cpuPerJob()-bare.cpuPerJob(), "cpu-ms/job-over-bare")
				for name, now := range cpuEach(shares) { // the worker's includes its subprocesses
					b.ReportMetric(float64((now-before[name]).Microseconds())/1000/float64(ours.rounds*benchJobs), name+"-cpu-ms/job")
				}
			}
			w.stopAll()
		})
	}
}

// flood publishes a round of jobs as fast as the stream takes them.
func (w *world) flood(sessions int) error {
	names := make([]string, sessions)
	for i := range names {
		names[i] = newSession()
	}
	acks := make([]jetstream.PubAckFuture, 0, benchJobs)
	for i := range benchJobs {
		ack, err := w.js.PublishAsync(w.jobSubject(names[i%sessions]), []byte("x"))
		if err != nil {
			return err
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return err
		}
	}
	return nil
}

// stretch adds up rounds of benchJobs.
type stretch struct {
	rounds int
	wall   time.Duration
	cpu    time.Duration
	err    error
}

// measure runs one round. CPU is that of the given processes, or of this one and its finished children.
func (s *stretch) measure(pids []int, round func() error) {
	before, began := cpuOf(pids), time.Now()
	if err := round(); err != nil && s.err == nil {
		s.err = err
	}
	s.wall += time.Since(began)
	s.cpu += cpuOf(pids) - before
	s.rounds++
}

func (s *stretch) rate() float64 { return float64(s.rounds*benchJobs) / s.wall.Seconds() }

func (s *stretch) cpuPerJob() float64 {
	return float64(s.cpu.Microseconds()) / 1000 / float64(s.rounds*benchJobs)
}

// sideBySide runs a round of one() in as many goroutines as the worker has slots.
func sideBySide(one func() error) error {
	var left atomic.Int64
	left.Store(benchJobs)
	errs := make(chan error, benchConcurrency)
	var all sync.WaitGroup
	for range benchConcurrency {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := one(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

func bareRuns() error {
	return sideBySide(func() error { return exec.CommandContext(context.Background(), "/bin/true").Run() })
}

// guardedRuns has the process guards of a worker (group, death signal, pipes), and nothing else of it.
func guardedRuns() error {
	return sideBySide(func() error {
		p, err := process.Start(context.Background(), process.Spec{Path: "/bin/true", StopSignal: termSignal, Grace: time.Second})
		if err == nil {
			<-p.Done()
		}
		return err
	})
}

// BenchmarkLatency: from the publish call to the subprocess' own clock, on an idle worker. bare is the same program started
// directly: what no worker can avoid.
func BenchmarkLatency(b *testing.B) {
	const program, format = "/bin/date", "+%s%N"
	w := released(b, program, format)
	w.releasedWorker()
	started := make(chan time.Time, 1)
	w.onFinal(func(e event) {
		if e.Result == nil {
			b.Errorf("no result: %s", e)
			started <- time.Time{}
			return
		}
		started <- clock(e.Result.Text)
	})
	var ours, bare []time.Duration
	for b.Loop() {
		before := time.Now()
		out, err := exec.CommandContext(b.Context(), program, format).Output()
		require.NoError(b, err)
		bare = append(bare, clock(string(out)).Sub(before))

		before = time.Now()
		_, err = w.js.Publish(b.Context(), w.jobSubject(newSession()), nil)
		require.NoError(b, err)
		ours = append(ours, (<-started).Sub(before))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(ours, 0.5), "p50-ms")
	b.ReportMetric(quantile(ours, 0.99), "p99-ms")
	b.ReportMetric(quantile(bare, 0.5), "bare-p50-ms")
	b.ReportMetric(quantile(bare, 0.99), "bare-p99-ms")
	w.stopAll()
}

func clock(text string) time.Time {
	ns, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return time.Unix(0, ns)
}

func quantile(all []time.Duration, q float64) float64 {
	slices.Sort(all)
	return float64(all[int(q*float64(len(all)-1))].Microseconds()) / 1000
}

// BenchmarkIdle: what a worker with nothing to do costs, in percent of a core.
func BenchmarkIdle(b *testing.B) {
	w := released(b, "/bin/true")
	x := w.releasedWorker()
	const span = 2 * time.Second
	var cpu, wall time.Duration
	for b.Loop() {
		before, began := cpuOf([]int{x.pid()}), time.Now()
		<-time.After(span)
		cpu, wall = cpu+cpuOf([]int{x.pid()})-before, wall+time.Since(began)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(100*cpu.Seconds()/wall.Seconds(), "%core")
	w.stopAll()
}

// processes are the worker and the servers it uses, by name.
func (w *world) processes(x *worker) map[string]int {
	out := map[string]int{"worker": x.pid(), "nats": w.stack.nats.proc.pid()}
	if w.stack.redis.proc != nil {
		out["redis"] = w.stack.redis.proc.pid()
	}
	return out
}

func pids(of map[string]int) []int { return slices.Collect(maps.Values(of)) }

func cpuEach(of map[string]int) map[string]time.Duration {
	out := map[string]time.Duration{}
	for name, pid := range of {
		out[name] = cpuOf([]int{pid})
	}
	return out
}
