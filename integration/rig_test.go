package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rig is a world that is disturbed: workers whose lines can be cut, producers that go on meanwhile, and a record of what was
// done to it.
type rig struct {
	*world
	dice  *rand.Rand // of the test's own goroutine
	crew  []*linked
	hired int

	quiet     chan struct{} // closed when the producers shall stop
	backlog   atomic.Uint64 // messages in the jobs stream, as last seen
	enough    uint64        // unfinished jobs, beyond which producers wait: a busy machine must not end up with an hour of work
	producers sync.WaitGroup

	noted  sync.Mutex
	failed []error
	stalls []standstill
}

func newRig(tb testing.TB, seed uint64, change ...func(*config)) *rig {
	tb.Helper()
	change = append(change, func(c *config) {
		a := c.Agents["default"]
		a.Exits = []exitConfig{{Code: 42, Action: "dead"}}
		c.Agents["default"] = a
	})
	r := &rig{
		world: newWorld(tb, ownStack(tb, realRedis), change...),
		dice:  rand.New(rand.NewPCG(seed, 0)),
		quiet: make(chan struct{}), enough: 60,
	}
	r.faults = []span{}
	r.watchMachine()
	r.watchBacklog()
	return r
}

// watchMachine notes when this machine stands still.
func (r *rig) watchMachine() {
	done := make(chan struct{})
	r.t.Cleanup(func() { close(done) })
	const every = 50 * time.Millisecond
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if now := time.Now(); now.Sub(last) > stallLimit {
				r.noted.Lock()
				r.stalls = append(r.stalls, standstill{last, now})
				r.noted.Unlock()
			}
			last = time.Now()
		}
	}()
}

// watchBacklog looks how much is unfinished. While nobody answers it stays as it was.
func (r *rig) watchBacklog() {
	ctx := r.ctx()
	go func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if s, err := r.js.Stream(ctx, r.stream("JOBS")); err == nil {
				r.backlog.Store(s.CachedInfo().State.Msgs)
			}
		}
	}()
}

// untilNeeded waits while there is enough to do; false when the producers shall stop.
func (r *rig) untilNeeded(pause time.Duration) bool {
	for {
		select {
		case <-r.quiet:
			return false
		case <-time.After(pause):
		}
		if r.backlog.Load() < r.enough {
			return true
		}
		pause = 100 * time.Millisecond
	}
}

func (r *rig) standstills() []standstill {
	r.noted.Lock()
	defer r.noted.Unlock()
	return slices.Clone(r.stalls)
}

// hire adds a worker and waits until it pulls.
func (r *rig) hire() {
	r.t.Helper()
	r.untilReady(r.hireAsync().worker)
}

func (r *rig) hireAsync(options ...workerOptions) *linked {
	r.t.Helper()
	r.hired++
	x := r.launchLinked(fmt.Sprint("w", r.hired), options...)
	r.crew = append(r.crew, x)
	return x
}

// part takes a worker out of the crew: it is about to end.
func (r *rig) part(x *linked) {
	r.crew = slices.DeleteFunc(r.crew, func(y *linked) bool { return x == y })
}

// pick answers a worker, one that has a live subprocess where there is one and the journals are small enough to look.
func (r *rig) pick() *linked {
	r.t.Helper()
	busy := map[string]bool{}
	if len(r.published()) < 1000 {
		for _, run := range r.liveRuns() {
			busy[run.Worker] = true
		}
	}
	start := r.dice.IntN(len(r.crew))
	for i := range r.crew {
		if x := r.crew[(start+i)%len(r.crew)]; busy[x.id] {
			return x
		}
	}
	return r.crew[start]
}

// liveRuns are the subprocesses that have started, have not said that they end, and exist.
func (r *rig) liveRuns() (live []run) {
	for _, one := range r.runs() {
		if !one.Ended && alive(one.PID) {
			live = append(live, one)
		}
	}
	return live
}

// note records a fault. It has lasted from then until now.
func (r *rig) note(name string, from time.Time, e excuse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, span{name, from, time.Now(), e})
}

// hold lets the traffic go on for a while. A fault is as long as it is: nothing can be awaited.
func (w *world) hold(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.ctx().Done():
	}
}

// produce starts the producers of a traffic.
func (r *rig) produce(x traffic) {
	for line := range x.lines {
		seed := r.dice.Uint64()
		r.producers.Go(func() {
			dice := rand.New(rand.NewPCG(seed, uint64(line))) //nolint:gosec // small and positive
			session := newSession()
			for n := 0; ; n++ {
				if x.fresh || x.turn > 0 && n%x.turn == 0 {
					session = newSession()
				}
				j, pause := x.next(r, session, n, dice)
				if err := r.send(j); err != nil {
					r.noted.Lock()
					r.failed = append(r.failed, err)
					r.noted.Unlock()
					return
				}
				if !r.untilNeeded(pause) {
					return
				}
			}
		})
	}
}

// stopProducing ends the traffic. A producer that was refused for good is a mistake in the test or in the product.
func (r *rig) stopProducing() {
	r.t.Helper()
	close(r.quiet)
	r.producers.Wait()
	for _, err := range r.failed {
		require.NoError(r.t, err)
	}
}

// published are the jobs that the stream has taken so far.
func (w *world) published() []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.jobs)
}

// processesOf are the live processes of any run of this namespace: whatever has its journal in the environment.
func (w *world) processesOf() (found []string) {
	if runtime.GOOS != "linux" {
		return nil
	}
	mark := witnessEnv + "=" + filepath.Join(w.dir, "journal") + "\x00"
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(data), mark) {
			found = append(found, "pid "+strings.Split(file, "/")[2])
		}
	}
	return found
}
