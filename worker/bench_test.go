package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/worker/agent"
)

// BenchmarkAdoptions runs one trivial job in each of many sessions, in one
// process with its servers: for profiles, not for figures.
func BenchmarkAdoptions(b *testing.B) {
	bench := newBench(b)
	w := bench.worker(func(c *Config) {
		c.Agents = map[string]*agent.Agent{"default": {Name: "default", Command: []string{"/bin/true"}, Grace: time.Second}}
	})
	b.ResetTimer()
	for range b.N {
		_, err := w.q.Publish(b.Context(), queue.NewJob{Session: newSession(), Body: []byte("x")})
		require.NoError(b, err)
	}
	require.Eventually(b, func() bool {
		waiting, err := w.q.Waiting(b.Context())
		return err == nil && len(waiting) == 0
	}, time.Minute, 10*time.Millisecond)
}
