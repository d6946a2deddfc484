package supervisor

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	headStart  = 50 * time.Millisecond // for before's doings, until the killing begins
	clearRound = 5 * time.Millisecond  // between two looks at what is left
	clearTime  = 2 * time.Second       // how long Finish waits for what cannot be killed
	lastWords  = 3 * time.Second       // from the end of the supervisor to that of the worker
	cleanLooks = 3                     // that find nothing, for nothing to be left
)

// Guard waits until the supervisor has gone and then ends this worker, which
// nothing else would do: it calls before (nil for nothing), which may tell the
// worker to hand back and must not wait; kills whatever descends from this
// process, over and over, so that nothing that leaves its parent escapes; and
// kills this process three seconds later if it has not ended by itself. Nothing
// can be opened by then: the socket's other end has gone. Call it once, in a goroutine of its own.
func (c *Client) Guard(before func()) {
	if c == nil {
		return
	}
	<-c.gone
	begin := time.Now()
	if before != nil {
		before()
	}
	t := newTree()
	round := time.NewTimer(headStart)
	told := false
	for clean := 0; time.Since(begin) < lastWords; {
		<-round.C
		if clean++; killUnder(t) > 0 {
			clean = 0
		}
		if clean >= cleanLooks && !told {
			told = true
			close(c.cleared)
		}
		round.Reset(clearRound)
	}
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
}

// killUnder kills the descendants of this process and answers how many lived.
func killUnder(t *tree) int {
	left := 0
	for _, p := range t.under(os.Getpid()) {
		if !p.dead {
			left++
			p.signal(unix.SIGKILL)
		}
	}
	return left
}

// Finish is the last call of a worker that ends: where the supervisor has gone
// it waits until Guard has left nothing behind, for two seconds at most. Guard
// must have been started.
func (c *Client) Finish() {
	if c == nil {
		return
	}
	select {
	case <-c.gone:
	default:
		return // the supervisor collects what is left
	}
	limit := time.NewTimer(clearTime)
	defer limit.Stop()
	select {
	case <-c.cleared:
	case <-limit.C:
	}
}
