package process

import (
	"context"
	"testing"
	"time"
)

// BenchmarkWays compares what it costs to be sure that nothing is left: the
// group alone, with a cgroup per run, with a marker. "of-group" is throughput
// against the group alone.
func BenchmarkWays(b *testing.B) {
	path, err := LookPath("true")
	if err != nil {
		b.Skip(err)
	}
	cgroups, err := ProbeCgroups(CgroupOptions{Worker: "bench"})
	if err == nil {
		b.Cleanup(func() { _ = cgroups.Close() })
	}
	once := func(marker []string, c *Cgroups) func() error {
		return func() error {
			p, err := Start(context.Background(), Spec{
				Path: path, Sink: nothing{}, Grace: time.Second, Stdin: []byte("prompt"), Env: marker, Marker: marker, Cgroups: c,
			})
			if err == nil {
				<-p.Done()
			}
			return err
		}
	}
	marker := []string{WorkerVar + "=bench", "CURFEW_SESSION=1", "CURFEW_FENCE=2"}
	ways := map[string]func() error{"marker": once(marker, nil)}
	if cgroups != nil {
		ways["cgroup"], ways["both"] = once(nil, cgroups), once(marker, cgroups)
	}
	for name, way := range ways {
		b.Run(name, func(b *testing.B) {
			var spent, cpu [2]time.Duration
			const batch = 100
			for done := 0; done < b.N; done += batch {
				for i, f := range []func() error{once(nil, nil), way} {
					begin, used := time.Now(), cpuUsed()
					runBatch(b, 4, min(batch, b.N-done), f)
					spent[i] += time.Since(begin)
					cpu[i] += cpuUsed() - used
				}
			}
			b.ReportMetric(float64(spent[0])/float64(spent[1]), "of-group")
			b.ReportMetric(float64((cpu[1]-cpu[0]).Microseconds())/float64(b.N), "cpu-us-more")
		})
	}
}

// BenchmarkLook is one look at every process of this machine.
func BenchmarkLook(b *testing.B) {
	h := &hunt{}
	h.mine = func(pid int) bool {
		_, there := h.wornBy(pid)
		return there && hasVars(h.environ(pid), []string{"NO_SUCH=1"})
	}
	count := 0
	_ = everybody(func(int) { count++ })
	for b.Loop() {
		h.look(0)
	}
	b.ReportMetric(float64(count), "processes")
}
