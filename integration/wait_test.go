package integration

import (
	"fmt"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

const pollEvery = 15 * time.Millisecond

// until waits for the condition. What is awaited is told when it does not come.
func (w *world) until(bound time.Duration, cond func() bool, what string, args ...any) {
	w.t.Helper()
	if !poll(bound, cond) {
		require.FailNow(w.t, "did not happen within "+bound.String()+": "+fmt.Sprintf(what, args...))
	}
}

// never watches for as long that the condition does not come.
func (w *world) never(span time.Duration, cond func() bool, what string, args ...any) {
	w.t.Helper()
	if poll(span, cond) {
		require.FailNow(w.t, "happened: "+fmt.Sprintf(what, args...))
	}
}

func poll(bound time.Duration, cond func() bool) bool {
	end := time.After(bound)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if cond() {
			return true
		}
		select {
		case <-tick.C:
		case <-end:
			return cond()
		}
	}
}

// untilStart waits for the n-th subprocess of the job and answers it.
func (w *world) untilStart(j *job, n int) run {
	w.t.Helper()
	var got run
	w.until(patience, func() bool {
		all := w.runsOf(j)
		if len(all) < n {
			return false
		}
		got = all[n-1]
		return true
	}, "run %d of job %s", n, j.Name)
	return got
}

// untilFinal waits for the final event of each job and answers the last one's.
func (w *world) untilFinal(jobs ...*job) event {
	w.t.Helper()
	return w.untilFinalWithin(patience, jobs...)
}

// untilFinalWithin is untilFinal for jobs that take their time.
func (w *world) untilFinalWithin(bound time.Duration, jobs ...*job) event {
	w.t.Helper()
	var last event
	for _, j := range jobs {
		w.until(bound, func() bool {
			var ok bool
			last, ok = w.final(j)
			return ok
		}, "the final event of job %s", j.Name)
	}
	return last
}

// final is the job's final event, if it is there yet.
func (w *world) final(j *job) (event, bool) {
	for _, e := range w.readEvents() {
		if e.Final && e.Job == j.Name {
			return e, true
		}
	}
	return event{}, false
}

// eventsOf are the job's events of one type.
func (w *world) eventsOf(j *job, kind string) []event {
	var out []event
	for _, e := range w.readEvents() {
		if e.Type == kind && e.Job == j.Name {
			out = append(out, e)
		}
	}
	return out
}

// alive says whether there is such a process. One that nobody has waited for yet counts.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
