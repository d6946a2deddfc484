package integration

import (
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// steadyTraffic publishes into so many sessions, one job each per second, until stop, which answers when the last is accepted.
// Each job may be run again, and three workers that die under one bury it.
func (w *world) steadyTraffic(sessions int) (stop func()) {
	var producers sync.WaitGroup
	quiet, failed := make(chan struct{}), make(chan error, sessions)
	for range sessions {
		producers.Go(func() {
			session := newSession()
			for i := 0; ; i++ {
				work := fmt.Sprintf("sleep %dms", 20+i*37%200)
				if err := w.send(w.job(session, script("term-exit 1 20ms", work), repeatable(), wants("succeeded", "crashed"))); err != nil {
					failed <- err
					return
				}
				select {
				case <-quiet:
					return
				case <-time.After(time.Second): // slower than a session works, so that none piles up
				}
			}
		})
	}
	return func() {
		w.t.Helper()
		close(quiet)
		producers.Wait()
		close(failed)
		for err := range failed {
			require.NoError(w.t, err)
		}
	}
}

// roomy gives each worker more slots than there are sessions: one whose jobs come faster than it works, on a machine that is busy,
// keeps its slot.
func roomy(c *config) { c.Worker.Concurrency = 16 }

// finals counts the final events so far.
func (w *world) finals() int {
	w.t.Helper()
	n := 0
	for _, e := range w.readEvents() {
		if e.Final {
			n++
		}
	}
	return n
}

// untilMore waits until so many more jobs have ended than have now: the fleet works, whatever is broken.
func (w *world) untilMore(n int) {
	w.t.Helper()
	before := w.finals()
	w.until(2*patience, func() bool { return w.finals() >= before+n }, "%d more jobs end after %d", n, before)
}
