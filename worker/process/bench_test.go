package process

import (
	"context"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// nothing drops what it gets, as a Sink that costs nothing.
type nothing struct{}

func (nothing) Chunk(Stream, uint64, []byte) {}
func (nothing) Line(Stream, []byte, bool)    {}

// BenchmarkAgainstBare spawns and waits for a trivial program, here and with
// os/exec without pipes or any other guard, in turns so that a busy machine
// slows both. "of-bare" is throughput against the bare one.
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
			var spent [2]time.Duration
			const batch = 100
			for done := 0; done < b.N; done += batch {
				for i, f := range []func() error{bare, guarded} {
					begin := time.Now()
					runBatch(b, callers, min(batch, b.N-done), f)
					spent[i] += time.Since(begin)
				}
			}
			b.ReportMetric(float64(spent[0])/float64(spent[1]), "of-bare")
			b.ReportMetric(float64(spent[1].Microseconds())/float64(b.N), "us/guarded")
			b.ReportMetric(float64(spent[0].Microseconds())/float64(b.N), "us/bare")
		})
	}
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
