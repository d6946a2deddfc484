package integration

import (
	"flag"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var realTerms = flag.Bool("bounds.default", false, "TestBounds uses the lease times of the shipped configuration (15 s, 5 s, 2 s): two minutes")

// terms are the lease times that the bounds are told in.
type terms struct{ ttl, renew, margin time.Duration }

func boundTerms() terms {
	if *realTerms {
		return terms{15 * time.Second, 5 * time.Second, 2 * time.Second}
	}
	return terms{leaseTTL, time.Second, 500 * time.Millisecond}
}

func (x terms) apply(c *config) {
	c.Lease.TTL, c.Lease.Renew, c.Lease.Margin = x.ttl.String(), x.renew.String(), x.margin.String()
}

// slackness is what a busy machine may add to a bound. The figures that count are the logged ones.
const slackness = 30 * time.Second

func told(t *testing.T, what string, took, bound time.Duration) {
	t.Helper()
	t.Logf("%s: %s (promised: %s)", what, took.Round(time.Millisecond), bound)
	require.Less(t, took, bound+slackness)
}

// TestBounds measures what docs/guarantees.md promises in seconds.
func TestBounds(t *testing.T) {
	t.Parallel()
	x := boundTerms()
	const sessions = 4

	// live starts sessions on the first worker, which the second may take over.
	live := func(w *world, lines ...string) (jobs []*job) {
		for range sessions {
			jobs = append(jobs, w.publish(newSession(), script(lines...), repeatable()))
		}
		for _, j := range jobs {
			w.untilStart(j, 1)
		}
		return jobs
	}

	t.Run("worker host dies", func(t *testing.T) {
		t.Parallel()
		share(t)
		w := newWorld(t, sharedStack(t), x.apply)
		doomed := w.worker("doomed")
		jobs := live(w, "ignore-term", "@1 sleep 10m")
		w.worker("w2")
		inner, began := doomed.inner(), time.Now()
		doomed.signal(killSignal)
		_ = syscall.Kill(inner, syscall.SIGKILL)
		var last time.Time
		for _, j := range jobs {
			if at := w.untilStart(j, 2).At; at.After(last) {
				last = at
			}
		}
		// The lease ends, and a delivery that was put off comes back.
		told(t, "the last of its sessions runs elsewhere after", last.Sub(began), x.ttl+ackWait+busyDelay)
		w.finish()
	})

	t.Run("redis restarts", func(t *testing.T) {
		t.Parallel()
		share(t)
		w := newWorld(t, ownStack(t, realRedis), x.apply)
		w.worker("w1")
		gate := w.gate("end")
		jobs := live(w, "await "+gate)
		w.worker("w2")
		w.stack.redis.kill()
		require.NoError(t, w.stack.redis.start())
		began := time.Now()
		fresh := w.publish(newSession(), "new")
		told(t, "a new session starts after", w.untilStart(fresh, 1).At.Sub(began), x.ttl+time.Second)
		w.hold(x.ttl + time.Second)
		w.open(gate)
		w.untilFinal(jobs...)
		lost := 0
		for _, j := range jobs {
			lost += len(w.runsOf(j)) - 1
		}
		t.Logf("holders that lost their session: %d of %d", lost, len(jobs))
		if x.ttl > 10*time.Second { // a slow machine takes longer to start Redis than a short lease lives
			require.Zero(t, lost)
		}
		w.finish()
	})

	t.Run("worker cut off", func(t *testing.T) {
		t.Parallel()
		share(t)
		w := newWorld(t, sharedStack(t), x.apply)
		lonely := w.linked("lonely")
		jobs := live(w, "ignore-term", "@1 sleep 10m")
		w.worker("w2")
		lonely.redis.cut()
		began := time.Now()
		for _, j := range jobs {
			pid := w.runsOf(j)[0].PID
			w.until(patience, func() bool { return !alive(pid) }, "the subprocess ends")
		}
		told(t, "the last subprocess is dead after", time.Since(began), x.ttl-x.margin)
		w.publish(jobs[0].Session, "news")
		for _, j := range jobs {
			w.untilStart(j, 2)
		}
		lonely.redis.mend()
		w.finish()
	})

	t.Run("worker drains", func(t *testing.T) {
		t.Parallel()
		share(t)
		w := newWorld(t, sharedStack(t), x.apply, func(c *config) { c.Worker.DrainTimeout = "0s" })
		first := w.worker("w1")
		jobs := live(w, "@1 sleep 10m")
		w.worker("w2")
		first.signal(termSignal)
		began := time.Now()
		var last time.Time
		for _, j := range jobs {
			if at := w.untilStart(j, 2).At; at.After(last) {
				last = at
			}
		}
		told(t, "the last of its sessions runs elsewhere after", last.Sub(began), time.Second)
		w.finish()
	})
}
