package integration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// injector brings a fault about, and takes it away again. Both run on the test's goroutine.
type injector interface {
	Inject(r *rig)
	Heal(r *rig)
}

// fault is a way to disturb, and what it makes right that would be wrong without it.
type fault struct {
	name   string
	excuse excuse
	hold   time.Duration        // between Inject and Heal
	lease  func(*config)        // lease times that the fault needs; nil: short ones
	make   func(*rig) injector  // one for each use
	skip   func(traffic) string // why it says nothing with this traffic; nil or "": it does
}

// What most faults make right.
var (
	nothing = excuse{}
	rerun   = excuse{Rerun: true}
	lost    = excuse{Rerun: true, Lost: true}
)

// inject disturbs once, from the beginning to the end, and records it.
func (r *rig) inject(f fault) {
	r.t.Helper()
	one := f.make(r)
	from := time.Now()
	one.Inject(r)
	r.hold(f.hold)
	one.Heal(r)
	e := f.excuse
	if s, ok := one.(interface{ excuse() excuse }); ok {
		e = s.excuse()
	}
	r.note(f.name, from, e)
}

// of makes an injector whose zero value is ready.
func of[T any, P interface {
	*T
	injector
}](value T) func(*rig) injector {
	return func(*rig) injector { v := value; return P(&v) }
}

// faults are all of them; each file fault_*_test.go has some.
var faults = slices.Concat(workerFaults, lineFaults, redisFaults, natsFaults, orderFaults)

func onlyWith(names ...string) func(traffic) string {
	return func(x traffic) string {
		if slices.Contains(names, x.name) {
			return ""
		}
		return "only with " + strings.Join(names, ", ")
	}
}

// awaitWithJobs is await with a job now and then, each in a session of its own: others' sessions may stay with their holders.
func (r *rig) awaitWithJobs(cond func() bool, job, want, what string, args ...any) {
	r.t.Helper()
	next := time.Now()
	r.await(func() bool {
		if now := time.Now(); now.After(next) {
			next = now.Add(300 * time.Millisecond)
			require.NoError(r.t, r.send(r.job(newSession(), job, repeatable(), wants(want))))
		}
		return cond()
	}, what, args...)
}

// await waits for the condition that makes a fault one.
func (r *rig) await(cond func() bool, what string, args ...any) {
	r.t.Helper()
	if !poll(patience, cond) {
		require.FailNow(r.t, "the fault did not come about: "+fmt.Sprintf(what, args...))
	}
}
