package queue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A worker that is told to go while NATS is away must not wait for it.
func TestDrainDoesNotWaitForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q := declared(t, n)
	h := hints(t, q)
	ended := make(chan error, 1)
	go func() {
		_, err := h.Next(t.Context())
		ended <- err
	}()
	require.Eventually(t, func() bool { return h.Healthy() == nil }, 60*time.Second, 10*time.Millisecond)
	n.stop()
	require.Eventually(t, func() bool { return !q.Up() }, 60*time.Second, 10*time.Millisecond)
	h.Drain()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, ErrDrained)
	case <-time.After(8 * time.Second): // one request may wait for 15
		t.Fatal("Next still waits for the server")
	}
}
