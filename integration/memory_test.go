package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRedisForgets: whatever Redis loses of a live session, its holder keeps it, and nobody runs the session beside it.
func TestRedisForgets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		kind   redisKind
		forget func(*testing.T, *world, string)
	}{
		{"the lock", anyRedis, func(t *testing.T, w *world, session string) {
			t.Helper()
			w.forgetKeys(t, w.ns+":{"+session+"}:lock")
		}},
		{"lock and lease", anyRedis, func(t *testing.T, w *world, session string) {
			t.Helper()
			w.forgetKeys(t, w.ns+":{"+session+"}:lock", w.ns+":{"+session+"}:lease")
		}},
		{"everything", anyRedis, func(t *testing.T, w *world, _ string) {
			t.Helper()
			require.NoError(t, w.stack.redis.flush(t.Context()))
		}},
		{"everything, by a crash", realRedis, func(t *testing.T, w *world, _ string) {
			t.Helper()
			w.stack.redis.kill()
			require.NoError(t, w.stack.redis.start())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, ownStack(t, c.kind), patientLease) // Redis takes longer to start on a busy machine than a short lease lives
			w.worker("w1")
			session, release := newSession(), w.gate("release")
			live := w.publish(session, script("ignore-term", "await "+release))
			w.untilStart(live, 1)
			w.worker("w2")
			w.worker("w3")
			for round := range 3 {
				c.forget(t, w, session)
				w.publish(session, "a hint for the others") // they ask at once, before the holder has renewed
				w.publish(newSession(), "another session goes on")
				forgot := time.Now()
				w.never(leaseTTL, func() bool { return len(w.runs()) > 0 && len(w.runsOf(live)) > 1 }, "the session ran elsewhere, round %d", round)
				require.GreaterOrEqual(t, time.Since(forgot), leaseTTL)
			}
			w.open(release)
			w.finish()
			require.Len(t, w.runsOf(live), 1, "its holder kept it")
		})
	}
}

func (w *world) forgetKeys(t *testing.T, keys ...string) {
	t.Helper()
	c := w.stack.redis.client()
	defer c.Close()
	require.NoError(t, c.Del(t.Context(), keys...).Err())
}
