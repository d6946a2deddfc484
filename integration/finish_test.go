package integration

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// finish waits until every job has its final event and nothing is left on the servers, stops the workers, and judges.
func (w *world) finish() {
	w.t.Helper()
	w.settle()
	w.ends()
	if broken := judge(w.history()); len(broken) > 0 {
		require.FailNow(w.t, "the history breaks its promises", strings.Join(broken, "\n"))
	}
}

// ends stops the workers and looks what they leave.
func (w *world) ends() {
	w.t.Helper()
	w.stopAll()
	poll(5*time.Second, func() bool { w.left = w.processesOf(); return len(w.left) == 0 })
}

// settle waits for the end of all work: what is still missing is told by the judge, better than here.
func (w *world) settle() {
	w.t.Helper()
	w.settleWithin(patience)
}

func (w *world) settleWithin(bound time.Duration) {
	w.t.Helper()
	lossy := history{Faults: w.faults}
	over := poll(bound, func() bool {
		done := map[string]bool{}
		for _, e := range w.readEvents() {
			done[e.Job] = done[e.Job] || e.Final
		}
		for _, j := range w.jobs {
			if !done[j.Name] && !lossy.mayBeLost(j) {
				return false
			}
		}
		return true
	})
	if over {
		poll(10*ackWait, func() bool { return w.rest().clean() })
	}
}

func (w *world) history() history {
	w.t.Helper()
	h := history{Faults: w.faults, Alive: w.left, Jobs: w.published(), Entries: w.entries(), Events: w.readEvents(), Letters: w.readLetters(), Rest: w.rest(), Logs: map[string]string{}}
	for _, x := range w.workers {
		h.Logs[x.name] = x.output()
	}
	return h
}
