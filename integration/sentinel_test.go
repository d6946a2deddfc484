package integration

import (
	"strings"
	"testing"
	"time"
)

// TestSentinel: a replica is promoted that has missed the newest leases, and later the old primary again, under its old run id.
// Live runs keep their sessions, and nobody else gets one.
func TestSentinel(t *testing.T) {
	t.Parallel()
	share(t)
	needRedis(t)
	r := newRedisPair(t)
	s := &stack{nats: sharedStack(t).nats, redis: r.view()}
	w := newWorld(t, s, patientLease, roomy, func(c *config) { c.Redis.URL = r.url() })
	w.worker("w1")
	w.worker("w2")
	stop := w.steadyTraffic(6)
	w.untilMore(6)

	turn := func(name string, change func()) {
		r.untilReplicating()
		r.holdReplica()
		// These leases are unknown to the replica: the sessions begin, and their runs are opened, while it hears nothing.
		gate := w.gate(strings.ReplaceAll(name, " ", "-"))
		var live []*job
		for range 3 {
			j := w.publish(newSession(), script("await "+gate), repeatable())
			w.untilStart(j, 1)
			live = append(live, j, w.publish(j.Session, "the turn after it", repeatable()))
		}
		begin := time.Now()
		change()
		w.untilMore(6)
		t.Logf("%s: six jobs more had ended after %s", name, time.Since(begin).Round(100*time.Millisecond))
		w.open(gate)
		w.untilFinal(live...)
	}
	turn("promoted", r.failover)
	turn("back again", r.failover)
	if *clusters {
		for range 2 {
			turn("killed", func() {
				r.killPrimary()
				r.untilPromoted()
			})
			r.startKilled()
		}
		turn("promoted once more", r.failover)
	}
	stop()
	w.finish()
	t.Logf("%d jobs, %d runs", len(w.jobs), len(w.runs()))
}
