package process

import (
	"context"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nothing drops what it gets, as a Sink that costs nothing.
type nothing struct{}

func (nothing) Chunk(Stream, uint64, []byte) {}
func (nothing) Line(Stream, []byte, bool)    {}

// BenchmarkAgainstBare spawns and waits for a trivial program, here and with
// os/exec without pipes or any other guard, in turns so that a busy machine
// slows both. "of-bare" is throughput against the bare one, "cpu-us-more" what
// a run costs above it, the subprocess' own time included.
func BenchmarkAgainstBare(b *testing.B) {
	path, err := LookPath("true")
	if err != nil {
		b.Skip(err)
	}
	ctx := context.Background()
	bare := func() error { return exec.CommandContext(ctx, path).Run() }
	guarded := func() error {
		p, err := Start(ctx, Spec{Path: path, Sink: nothing{}, Grace: time.Second, Stdin: []byte("prompt")})
		if err == nil {
			<-p.Done()
		}
		return err
	}
	for _, callers := range []int{1, 4} {
		b.Run(map[int]string{1: "1caller", 4: "4callers"}[callers], func(b *testing.B) {
			var spent, cpu [2]time.Duration
			const batch = 100
			for done := 0; done < b.N; done += batch {
				for i, f := range []func() error{bare, guarded} {
					begin, used := time.Now(), cpuUsed()
					runBatch(b, callers, min(batch, b.N-done), f)
					spent[i] += time.Since(begin)
					cpu[i] += cpuUsed() - used
				}
			}
			b.ReportMetric(float64(spent[0])/float64(spent[1]), "of-bare")
			b.ReportMetric(float64((cpu[1]-cpu[0]).Microseconds())/float64(b.N), "cpu-us-more")
			b.ReportMetric(float64(spent[1].Microseconds())/float64(b.N), "us/guarded")
			b.ReportMetric(float64(spent[0].Microseconds())/float64(b.N), "us/bare")
		})
	}
}

// cpuUsed is this process' time and that of the children it has reaped.
func cpuUsed() time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

func runBatch(b *testing.B, callers, n int, f func() error) {
	b.Helper()
	tokens := make(chan struct{}, n)
	for range n {
		tokens <- struct{}{}
	}
	close(tokens)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range tokens {
				if err := f(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
