package integration

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	chaosFor   = flag.Duration("chaos", 12*time.Second, "how long TestChaos disturbs")
	chaosSeed  = flag.Uint64("chaos.seed", 0, "which disturbances TestChaos chooses; 0: others each time")
	chaosOnly  = flag.String("chaos.only", "", "TestChaos takes only faults whose name holds this")
	chaosCrowd = flag.Int("chaos.crowd", 1, "how many times the producers, and each worker's slots, TestChaos has")
	chaosKeep  = flag.String("chaos.keep", "", "where TestChaos leaves what it saw when a promise broke; default: a folder named after the seed beside this machine's temporary files")
)

const (
	chaosCrew  = 4
	chaosQueue = 30 // jobs of a session, after which its producer takes a new one
)

// TestChaos: all traffics at once, and one fault after the other, chosen by a seed. Then it is quiet, and all promises must
// have held. Faults that lose jobs are left to TestPairs: here not one may be missing.
func TestChaos(t *testing.T) {
	t.Parallel()
	alone(t)
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("the same disturbances again: make chaos CHAOS=%s SEED=%d CROWD=%d", *chaosFor, seed, *chaosCrowd)
	r := newRig(t, seed, func(c *config) {
		c.Worker.DrainTimeout, c.Log.Level, c.Retry.Attempts = "500ms", "info", 3
		c.Worker.Concurrency *= *chaosCrowd
	})
	for range chaosCrew {
		r.hireAsync()
	}
	for _, x := range r.crew {
		r.untilReady(x.worker)
	}
	r.enough *= uint64(*chaosCrowd) //nolint:gosec // a few
	for _, x := range traffics {
		for range *chaosCrowd {
			r.produce(inTurns(x))
		}
	}
	choice := chaosFaults(*chaosFor)
	counts := map[string]int{}
	for end := time.Now().Add(*chaosFor); time.Now().Before(end); {
		f := choice[r.dice.IntN(len(choice))]
		pause := millis(200 + r.dice.IntN(2000))
		counts[f.name]++
		r.inject(f)
		r.hold(pause)
		if n := len(r.faults); n%20 == 0 {
			t.Logf("%s left: %d faults, %d jobs", time.Until(end).Round(time.Second), n, len(r.published()))
		}
	}
	r.stopProducing()
	r.settleWithin(5 * patience)
	r.ends()
	h := r.history()
	h.Stalls = r.standstills()
	t.Log("\n" + chaosReport(seed, h, counts))
	require.NotEmpty(t, h.Faults, "nothing was disturbed")
	if broken := judge(h); len(broken) > 0 {
		dir, err := r.keep(seed, h, broken)
		require.NoError(t, err)
		t.Errorf("the history breaks its promises, all of it is in %s\n%s", dir, explain(h, broken, 3))
	}
}

// inTurns gives a producer a new session now and then: outages must not pile up a queue without bound.
func inTurns(x traffic) traffic {
	next := x.next
	x.next = func(r *rig, session string, n int, dice *rand.Rand) (*job, time.Duration) {
		return next(r, session, n%chaosQueue, dice)
	}
	x.turn = chaosQueue
	return x
}

// chaosFaults are those that lose nothing and leave time for others. Leases are short here, so each may cost a run.
func chaosFaults(span time.Duration) (out []fault) {
	for _, f := range faults {
		if f.excuse.Lost || f.hold > span/8 || !strings.Contains(f.name, *chaosOnly) {
			continue
		}
		f.excuse.Rerun = true
		out = append(out, f)
	}
	return out
}

func chaosReport(seed uint64, h history, counts map[string]int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d faults, %d jobs, %d runs, %d second runs excused, %d standstills of the machine, %d violations\n",
		seed, len(h.Faults), len(h.Jobs), len(runsOf(h.Entries)), excusedRuns(h), len(h.Stalls), len(judge(h)))
	ends := map[string]int{}
	for _, e := range h.Events {
		if e.Final {
			ends[e.Outcome]++
		}
	}
	fmt.Fprintf(&b, "outcomes: %v\n", ends)
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%4d  %s\n", counts[name], name)
	}
	return b.String()
}
