// Package search walks every state that a model can reach, breadth first, so that the first counterexample found is a shortest one.
//
// It promises that "exhausted" means every reachable state was looked at. It holds all states in memory: a few hundred bytes each.
package search

import (
	"fmt"
	"time"
)

// Class says when a transition is sure to happen, for the question whether work can be stranded.
type Class uint8

// The classes of transitions.
const (
	Protocol Class = iota // a worker's own next step: always possible
	Timer                 // a slow timer runs out: possible once something went wrong, so a healthy run may not need it
	Outside               // publishers, operators, the clock: nobody may count on it
	Fault
)

// progress says that a transition happens by itself sooner or later.
func (c Class) progress() bool { return c <= Timer }

// Emit is given each transition out of a state: its class, where it leads, and what it is called in a trace.
type Emit[S comparable] func(c Class, to S, format string, args ...any)

// Model is what is searched. Broken and Idle may not depend on anything but the state.
type Model[S comparable] struct {
	Start S
	Next  func(s S, emit Emit[S])
	// Broken answers the promise that the state breaks, "" for none.
	Broken func(s *S) string
	// Settled says that nothing is left to do; nil: work that cannot be finished is not looked for.
	Settled func(s *S) bool
	// Stranded names the promise that a state breaks from which nothing can be settled any more.
	Stranded func(s *S) string
}

// Limits end a search before it is exhausted.
type Limits struct {
	States int
	Time   time.Duration
}

// Result is what a search found.
type Result struct {
	States  int
	Broken  string   // the promise that does not hold, "" for none
	Trace   []string // a shortest way there
	Stopped string   // the limit that ended the search, "" when every state was looked at
	Took    time.Duration
}

type edge struct{ from, to int32 }

type walk[S comparable] struct {
	model   Model[S]
	index   map[S]int32
	states  []S
	parents []int32
	edges   []edge // only those that are progress, and only where it matters
}

// Run searches the model within the limits.
func Run[S comparable](m Model[S], limits Limits) Result {
	begin := time.Now()
	w := &walk[S]{model: m, index: map[S]int32{m.Start: 0}, states: []S{m.Start}, parents: []int32{-1}}
	result := w.run(limits, begin)
	result.States, result.Took = len(w.states), time.Since(begin)
	return result
}

func (w *walk[S]) run(limits Limits, begin time.Time) Result {
	for at := 0; at < len(w.states); at++ {
		s := w.states[at]
		if broken := w.model.Broken(&s); broken != "" {
			return w.counterexample(at, broken)
		}
		if !w.expand(at) && w.model.Settled != nil && !w.model.Settled(&s) {
			return w.counterexample(at, w.model.Stranded(&s))
		}
		if len(w.states) > limits.States {
			return Result{Stopped: fmt.Sprintf("the limit of %d states", limits.States)}
		}
		if at%4096 == 0 && time.Since(begin) > limits.Time {
			return Result{Stopped: fmt.Sprintf("the limit of %s", limits.Time)}
		}
	}
	w.index = nil
	if w.model.Settled != nil {
		if at := w.unreachable(); at >= 0 {
			return w.counterexample(at, w.model.Stranded(&w.states[at]))
		}
	}
	return Result{}
}

// expand notes what the state leads to, and answers whether anything goes on by itself.
func (w *walk[S]) expand(at int) (goesOn bool) {
	w.model.Next(w.states[at], func(c Class, to S, _ string, _ ...any) {
		k, known := w.index[to]
		if !known {
			k = int32(len(w.states)) //nolint:gosec // memory ends long before
			w.index[to] = k
			w.states = append(w.states, to)
			w.parents = append(w.parents, int32(at)) //nolint:gosec // as above
		}
		if c.progress() {
			goesOn = true
			if w.model.Settled != nil {
				w.edges = append(w.edges, edge{int32(at), k}) //nolint:gosec // as above
			}
		}
	})
	return goesOn
}

// unreachable answers a state from which no settled one can be reached by what happens by itself, -1 when there is none.
func (w *walk[S]) unreachable() int {
	n := len(w.states)
	first := make([]int32, n+1) // of the edges into each state
	for _, e := range w.edges {
		first[e.to+1]++
	}
	for i := range n {
		first[i+1] += first[i]
	}
	into, at := make([]int32, len(w.edges)), append([]int32(nil), first...)
	for _, e := range w.edges {
		into[at[e.to]] = e.from
		at[e.to]++
	}
	good := make([]bool, n)
	var todo []int32
	for i := range w.states {
		if w.model.Settled(&w.states[i]) {
			good[i] = true
			todo = append(todo, int32(i)) //nolint:gosec // as above
		}
	}
	for len(todo) > 0 {
		x := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, from := range into[first[x]:first[x+1]] {
			if !good[from] {
				good[from] = true
				todo = append(todo, from)
			}
		}
	}
	for i := range good {
		if !good[i] {
			return i
		}
	}
	return -1
}

func (w *walk[S]) counterexample(at int, broken string) Result {
	var path []int32
	for x := int32(at); x >= 0; x = w.parents[x] { //nolint:gosec // as above
		path = append(path, x)
	}
	var trace []string
	for k := len(path) - 1; k > 0; k-- {
		trace = append(trace, w.label(path[k], path[k-1]))
	}
	return Result{Broken: broken, Trace: trace}
}

func (w *walk[S]) label(from, to int32) string {
	label := ""
	w.model.Next(w.states[from], func(_ Class, s S, format string, args ...any) {
		if s == w.states[to] {
			label = fmt.Sprintf(format, args...)
		}
	})
	return label
}
