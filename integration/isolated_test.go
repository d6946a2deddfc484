package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIsolatedPrimary: a primary is cut off together with a worker that reaches it and NATS, and its replica is promoted. Both sides
// would hand out leases, so the primary has to refuse writes once no replica hears it: min-replicas-to-write, with a max-lag that
// is over before anybody is promoted. docs/guarantees.md says why.
func TestIsolatedPrimary(t *testing.T) {
	t.Parallel()
	share(t)
	needRedis(t)
	start := func(more ...string) *redisServer {
		dir, err := os.MkdirTemp(lab.dir, "redis") //nolint:usetesting // stays with the test run's files, which can be kept
		require.NoError(t, err)
		s := &redisServer{lab: lab, dir: dir, more: more}
		s.port, err = freePort()
		require.NoError(t, err)
		require.NoError(t, s.start())
		t.Cleanup(s.kill)
		return s
	}
	old := start("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2", "--repl-diskless-sync-delay", "0")
	line := newLink(t, old.address())
	host, port, _ := strings.Cut(line.addr, ":")
	next := start("--replicaof", host+" "+port)
	ask := func(s *redisServer, args ...any) error {
		_, err := s.ask(t.Context(), args...)
		return err
	}
	w := newWorld(t, &stack{nats: sharedStack(t).nats, redis: next}, roomy, func(c *config) { c.Redis.URL = old.url() })
	w.until(patience, func() bool { return ask(old, "SET", "probe", "1") == nil }, "the replica is heard of")

	w.worker("w1")
	stop := w.steadyTraffic(4)
	w.untilMore(4)
	var live []*job
	for range 3 {
		j := w.publish(newSession(), script("ignore-term", "@1 sleep 10m"), repeatable())
		w.untilStart(j, 1)
		live = append(live, j)
	}
	line.cut()
	begin := time.Now()
	w.until(patience, func() bool {
		err := ask(old, "SET", "probe", "1")
		return err != nil && strings.Contains(err.Error(), "NOREPLICAS")
	}, "the primary refuses writes")
	refused := time.Since(begin)
	require.NoError(t, ask(next, "REPLICAOF", "NO", "ONE"))
	promoted := time.Now()
	w.worker("w2", workerOptions{change: func(c *config) { c.Redis.URL = next.url() }})
	for _, j := range live {
		again := w.untilStart(j, 2)
		t.Logf("writes refused after %s; run again on the other side %s after the promotion", refused.Round(10*time.Millisecond), again.At.Sub(promoted).Round(10*time.Millisecond))
	}
	line.mend()
	require.NoError(t, ask(old, "REPLICAOF", "127.0.0.1", fmt.Sprint(next.port)))
	stop()
	w.untilFinal(live...)
	w.finish()
}
