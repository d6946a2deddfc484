package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAwayAtStart: a worker that cannot work says which server it misses, and where it looked.
func TestAwayAtStart(t *testing.T) {
	t.Parallel()
	share(t)
	for _, name := range []string{"redis", "nats"} {
		port, err := freePort()
		require.NoError(t, err)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		w := newWorld(t, sharedStack(t))
		x := w.launch("w1", workerOptions{change: func(c *config) {
			if name == "redis" {
				c.Redis.URL = "redis://user:secret-word@" + address + "/0"
			} else {
				c.NATS.URL = "nats://user:secret-word@" + address
			}
		}})
		code, ended := x.wait(patience)
		require.True(t, ended, "it went on without %s", name)
		require.Equal(t, 4, code, x.output())
		require.Contains(t, strings.ToLower(x.output()), name)
		require.Contains(t, x.output(), address)
		require.NotContains(t, x.output(), "secret-word")
	}
}

const awayFor = 5 * time.Second

// TestAway: a server is gone for five seconds while runs begin, go on and end. None is lost and none is doubled.
func TestAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		kind redisKind
		stop func(*stack)
		back func(*stack) error
	}{
		{"redis", realRedis, func(s *stack) { s.redis.kill() }, func(s *stack) error { return s.redis.start() }},
		{"nats", anyRedis, func(s *stack) { s.nats.kill() }, func(s *stack) error { return s.nats.start() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, ownStack(t, c.kind), patientLease)
			w.worker("w1")
			w.worker("w2")
			var sessions []string
			for i := range 6 {
				s := newSession()
				sessions = append(sessions, s)
				w.untilStart(w.publish(s, script(fmt.Sprintf("sleep %dms", 1000+1500*i))), 1)
				w.publish(s, script("sleep 500ms"))
				w.publish(s, "third")
			}
			c.stop(w.stack)
			gone := time.Now()
			w.until(2*awayFor, func() bool { return time.Since(gone) >= awayFor }, "the outage lasts")
			require.NoError(t, c.back(w.stack))
			for _, s := range sessions {
				w.publish(s, "after the outage")
			}
			w.finish()
			for _, r := range w.runs() {
				require.Equal(t, 1, r.Attempt, "%s", r)
			}
		})
	}
}

// TestAwayForGood: without Redis for longer than a lease may be trusted, runs are ended rather than risked, and run again
// when it is back.
func TestAwayForGood(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, ownStack(t, realRedis))
	w.worker("w1")
	j := w.publish(newSession(), script("@1 ignore-term", "@1 sleep 10m"))
	pid := w.untilStart(j, 1).PID
	w.stack.redis.kill()
	gone := time.Now()
	w.until(patience, func() bool { return !alive(pid) }, "the subprocess ends")
	require.Less(t, time.Since(gone), leaseTTL+time.Second, "it outlived its lease")
	require.NoError(t, w.stack.redis.start())
	w.finish()
	require.Len(t, w.runsOf(j), 2)
}
