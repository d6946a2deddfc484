package integration

import (
	"syscall"
	"testing"
	"time"
)

// TestNATSCluster: streams and records with three replicas. The server that leads them is killed, stopped, and cut off from
// the two others while a worker still speaks to it, again and again under traffic. What the two others decided is what counts.
func TestNATSCluster(t *testing.T) {
	t.Parallel()
	share(t)
	c := newNATSCluster(t)
	s := &stack{nats: c.servers[0]}
	s.redis = sharedStack(t).redis
	w := newWorld(t, s, patientLease, roomy, func(f *config) { f.NATS.Replicas, f.NATS.URL = 3, c.url() })

	const victim = 1 // n2; these tests look through n1
	w.worker("w1")
	w.worker("w2", workerOptions{change: func(f *config) { f.NATS.URL = c.servers[victim].url() }}) // has no other
	w.worker("w3", workerOptions{change: func(f *config) { f.NATS.URL = c.servers[2].url() }})
	streams := []string{w.stream("JOBS"), "KV_" + w.stream("SESSIONS")}
	w.untilWhole(streams...)

	stop := w.steadyTraffic(6)
	w.untilMore(6)
	faults := []struct {
		name      string
		hit, heal func()
	}{
		{"killed", c.servers[victim].kill, func() { w.mustStart(c.servers[victim]) }},
		{"cut off", func() { c.cut(victim) }, c.mend},
		{"stopped", func() { c.servers[victim].proc.signal(syscall.SIGSTOP) }, func() { c.servers[victim].proc.signal(syscall.SIGCONT) }},
	}
	rounds := 1
	if *clusters {
		rounds = 3
	} else {
		faults = faults[:2]
	}
	for range rounds {
		for _, f := range faults {
			w.lead(c.name(victim), streams...)
			begin := time.Now()
			f.hit()
			w.untilLedByOther(c.name(victim), streams...)
			led := time.Since(begin)
			w.untilMore(6)
			t.Logf("the leader is %s: another after %s, six jobs more after %s", f.name, led.Round(100*time.Millisecond), time.Since(begin).Round(100*time.Millisecond))
			f.heal()
			w.untilWhole(streams...)
			w.untilMore(6)
		}
	}
	stop()
	w.finish()
	t.Logf("%d jobs, %d runs", len(w.jobs), len(w.runs()))
}

func (w *world) mustStart(s *natsServer) {
	w.t.Helper()
	if err := s.start(); err != nil {
		w.t.Fatal(err)
	}
}
