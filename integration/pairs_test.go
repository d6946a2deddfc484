package integration

import (
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
)

// crewSize is how many workers a pair has.
const crewSize = 2

// shortPairs is what runs without -pairs: each part of the protocol is disturbed once.
var shortPairs = [][2]string{
	{"long queues", "worker killed"},
	{"single jobs", "worker drained"},
	{"long runs", "worker frozen"},
	{"long runs", "worker killed at deadletter"},
	{"replace and reject", "answer to acquire lost"},
	{"single jobs", "answer to release lost"},
	{"single jobs", "worker cut off from both"},
	{"long runs", "redis killed, forgets"},
	{"replace and reject", "locks evicted"},
	{"long queues", "early redelivery"},
	{"single jobs", "nats killed"},
	{"long queues", "jobs stream deleted"},
	{"crashes", "records full"},
	{"replace and reject", "cancelled while its jobs go round and are published"},
}

// TestPairs: every traffic under every fault. A pair in which nothing was done, or nothing disturbed, fails.
func TestPairs(t *testing.T) {
	t.Parallel()
	var table pairTable
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		for _, x := range traffics {
			for _, f := range faults {
				if !*allPairs && !chosen(x, f) {
					continue
				}
				if f.skip != nil && f.skip(x) != "" {
					continue
				}
				t.Run(x.name+" x "+f.name, func(t *testing.T) {
					t.Parallel()
					share(t)
					table.add(runPair(t, x, f))
				})
			}
		}
	})
	t.Cleanup(func() { t.Log("\n" + table.String()) })
}

func chosen(x traffic, f fault) bool {
	for _, p := range shortPairs {
		if p[0] == x.name && p[1] == f.name {
			return true
		}
	}
	return false
}

// pairLine is what became of a pair.
type pairLine struct {
	pair                        string
	jobs, runs, excused, faults int
	broken                      map[string]int // by rule
	took                        time.Duration
}

func runPair(t *testing.T, x traffic, f fault) *pairLine {
	t.Helper()
	began := time.Now()
	name := x.name + " x " + f.name
	seed := fnv.New64()
	_, _ = seed.Write([]byte(name))
	r := newRig(t, seed.Sum64(), func(c *config) {
		c.Worker.DrainTimeout = "500ms"
		if x.change != nil {
			x.change(c)
		}
		if f.lease != nil {
			f.lease(c)
		}
	})
	for range crewSize {
		r.hireAsync()
	}
	for _, w := range r.crew {
		r.untilReady(w.worker)
	}
	r.produce(x)
	r.until(patience, func() bool { return len(r.runs()) >= 3 }, "the traffic flows")
	r.inject(f)
	after := len(r.published())
	r.until(patience, func() bool { return len(r.published()) >= after+4 }, "the traffic goes on")
	r.stopProducing()
	r.settleWithin(3 * patience)
	r.ends()
	h := r.history()
	h.Stalls = r.standstills()
	line := &pairLine{pair: name, jobs: len(h.Jobs), runs: len(runsOf(h.Entries)), excused: excusedRuns(h), faults: len(h.Faults), broken: map[string]int{}, took: time.Since(began)}
	var told []string
	for _, rule := range rules {
		for _, v := range rule.check(h) {
			line.broken[rule.name]++
			told = append(told, rule.name+": "+v)
		}
	}
	require.NotEmpty(t, h.Faults, "a fault was injected")
	if len(told) > 0 {
		t.Error("the history breaks its promises\n" + strings.Join(told, "\n"))
	}
	return line
}

// pairTable collects lines from tests that run at once.
type pairTable struct {
	mu    sync.Mutex
	lines []*pairLine
}

func (p *pairTable) add(l *pairLine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, l)
}

func (p *pairTable) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "pair\tjobs\truns\tfaults\tagain\toverlaps\tlost\tout of order\tleftovers\tother\ttook")
	var sum pairLine
	sum.broken = map[string]int{}
	for _, l := range p.lines {
		l.print(w)
		sum.jobs, sum.runs, sum.faults, sum.excused = sum.jobs+l.jobs, sum.runs+l.runs, sum.faults+l.faults, sum.excused+l.excused
		for rule, n := range l.broken {
			sum.broken[rule] += n
		}
	}
	sum.pair = fmt.Sprintf("all %d", len(p.lines))
	sum.print(w)
	_ = w.Flush()
	return b.String()
}

func (l *pairLine) print(w *tabwriter.Writer) {
	columns := []string{
		"no two subprocesses of a session at once", "one final event per job",
		"jobs of a session start in the order of publishing", "nothing is left alive",
	}
	other := 0
	for _, n := range l.broken {
		other += n
	}
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d", l.pair, l.jobs, l.runs, l.faults, l.excused)
	for _, c := range columns {
		other -= l.broken[c]
		fmt.Fprintf(w, "\t%d", l.broken[c])
	}
	fmt.Fprintf(w, "\t%d\t%s\n", other, l.took.Round(time.Second))
}
