package integration

import (
	"strings"

	"github.com/stretchr/testify/require"
)

// finish waits until every job has its final event and nothing is left on the servers, stops the workers, and judges.
func (w *world) finish() {
	w.t.Helper()
	w.settle()
	w.stopAll()
	if broken := judge(w.history()); len(broken) > 0 {
		require.FailNow(w.t, "the history breaks its promises", strings.Join(broken, "\n"))
	}
}

// settle waits for the end of all work: what is still missing is told by the judge, better than here.
func (w *world) settle() {
	w.t.Helper()
	over := poll(patience, func() bool {
		done := map[string]bool{}
		for _, e := range w.readEvents() {
			done[e.Job] = done[e.Job] || e.Final
		}
		for _, j := range w.jobs {
			if !done[j.Name] {
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
	h := history{Jobs: w.jobs, Entries: w.entries(), Events: w.readEvents(), Letters: w.readLetters(), Rest: w.rest(), Logs: map[string]string{}}
	for _, x := range w.workers {
		h.Logs[x.name] = x.output()
	}
	return h
}
