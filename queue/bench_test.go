package queue

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// BenchmarkJob is what one job costs the stream: hint, head, removal, and the look for the next head.
func BenchmarkJob(b *testing.B) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: b.TempDir(), NoSigs: true, NoLog: true})
	require.NoError(b, err)
	s.Start()
	defer s.Shutdown()
	require.True(b, s.ReadyForConnections(10*time.Second))
	q, err := Connect(b.Context(), Options{URL: s.ClientURL()})
	require.NoError(b, err)
	defer q.Close()
	require.NoError(b, q.Declare(b.Context(), terms()))
	h, err := q.Hints(b.Context())
	require.NoError(b, err)
	for range b.N {
		_, err := q.Publish(b.Context(), NewJob{Session: newSession(), Body: make([]byte, 200)})
		require.NoError(b, err)
	}
	work := make(chan struct{}, b.N)
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range work {
				x, err := h.Next(b.Context())
				if err != nil {
					b.Error(err)
					return
				}
				m, err := q.Head(b.Context(), x.Session, 1)
				if err != nil {
					b.Error(err)
					return
				}
				if err := q.Remove(b.Context(), m); err != nil {
					b.Error(err)
				}
				_, _ = q.Head(b.Context(), x.Session, m.Seq+1)
				_ = x.Ack()
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}
