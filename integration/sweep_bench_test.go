package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const (
	crowd       = 100_000 // sessions with a waiting job
	crowdOver   = 1000    // of them expired, half of them without a record
	crowdBusy   = 4000    // at the front of the stream, for the workers to chew on meanwhile
	crowdMaxAge = time.Minute
	crowdBefore = 6 * time.Second // how long publishing is measured before the sweep
)

// BenchmarkSweep: `curfew sweep` among 100 000 waiting subjects of which 1000 have expired, half of them sessions that no
// worker ever touched, while a worker runs jobs and a producer publishes.
func BenchmarkSweep(b *testing.B) {
	w := released(b, "/bin/sleep", "0.2")
	w.conf.Session.SweepEvery = "1h"
	w.conf.Agents["short"] = agentConfig{Command: []string{"/bin/true"}, Grace: "1s", MaxAge: crowdMaxAge.String()}
	w.releasedWorker()
	bin, err := lab.curfewPlain()
	require.NoError(b, err)
	file := filepath.Join(w.dir, "cli.yaml")
	require.NoError(b, w.conf.write(file))

	var took, before, during []time.Duration
	for b.Loop() {
		due := w.crowd()
		producer := w.produce()
		require.Positive(b, time.Until(due.Add(-crowdBefore)), "the stream was filled too slowly")
		<-time.After(time.Until(due.Add(-crowdBefore)))
		producer.take()
		<-time.After(time.Until(due))
		before = append(before, producer.take()...)

		began := time.Now()
		out, err := exec.CommandContext(b.Context(), bin, "sweep", "-o", "json", "--config", file).Output()
		took = append(took, time.Since(began))
		during = append(during, producer.take()...)
		require.NoError(b, producer.stop())
		require.NoError(b, err)
		var report struct {
			Expired    int `json:"expired"`
			PurgedJobs int `json:"purged_jobs"`
		}
		require.NoError(b, json.Unmarshal(out, &report))
		require.Equal(b, crowdOver, report.Expired, "%s", out)
		require.Equal(b, crowdOver, report.PurgedJobs, "%s", out)
		jobs, err := w.js.Stream(b.Context(), w.stream("JOBS"))
		require.NoError(b, err)
		require.NoError(b, jobs.Purge(b.Context()))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(took, 1)/1000, "sweep-s")
	b.ReportMetric(quantile(before, 0.5), "publish-p50-ms")
	b.ReportMetric(quantile(before, 0.99), "publish-p99-ms")
	b.ReportMetric(quantile(during, 0.5), "publish-p50-ms-swept")
	b.ReportMetric(quantile(during, 0.99), "publish-p99-ms-swept")
	b.ReportMetric(quantile(during, 0.99)/quantile(before, 0.99), "p99-ratio")
	w.stopAll()
}

// crowd fills the stream and answers when the last of those that are to expire has expired.
func (w *world) crowd() time.Time {
	w.t.Helper()
	bucket, err := w.js.KeyValue(w.ctx(), w.stream("SESSIONS"))
	require.NoError(w.t, err)
	old, err := json.Marshal(map[string]any{"created_at": time.Now().Add(-5 * time.Hour), "max_age_ms": (4 * time.Hour).Milliseconds()})
	require.NoError(w.t, err)
	w.burst(crowdBusy, func(int, *nats.Msg) {})
	w.burst(crowdOver/2, func(_ int, m *nats.Msg) { m.Header = nats.Header{"Curfew-Agent": {"short"}} })
	due := time.Now().Add(crowdMaxAge)
	rest := crowd - crowdBusy - crowdOver/2
	each := rest / (crowdOver / 2)
	w.burst(rest, func(i int, m *nats.Msg) {
		if i%each == 0 && i < each*crowdOver/2 {
			_, err := bucket.Put(w.ctx(), m.Subject[len(w.jobSubject("")):], old)
			require.NoError(w.t, err)
		}
	})
	return due
}

// burst publishes n jobs of a session each.
func (w *world) burst(n int, with func(int, *nats.Msg)) {
	w.t.Helper()
	acks := make([]jetstream.PubAckFuture, 0, n)
	for i := range n {
		m := &nats.Msg{Subject: w.jobSubject(newSession()), Data: []byte("x")}
		with(i, m)
		ack, err := w.js.PublishMsgAsync(m, jetstream.WithStallWait(patience))
		require.NoError(w.t, err)
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			require.NoError(w.t, err)
		}
	}
}

// producer publishes one job after the other and notes how long each took.
type producer struct {
	mu     sync.Mutex
	took   []time.Duration
	cancel context.CancelFunc
	ended  chan error
}

func (w *world) produce() *producer {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.ctx())
	p := &producer{cancel: cancel, ended: make(chan error, 1)}
	go func() {
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				p.ended <- nil
				return
			case <-tick.C:
			}
			began := time.Now()
			if _, err := w.js.Publish(context.WithoutCancel(ctx), w.jobSubject(newSession()), []byte("x")); err != nil {
				p.ended <- fmt.Errorf("publish beside a sweep: %w", err)
				return
			}
			p.mu.Lock()
			p.took = append(p.took, time.Since(began))
			p.mu.Unlock()
		}
	}()
	w.t.Cleanup(cancel)
	return p
}

// take answers what was noted since it was asked last.
func (p *producer) take() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.took
	p.took = nil
	return took
}

func (p *producer) stop() error {
	p.cancel()
	return <-p.ended
}
