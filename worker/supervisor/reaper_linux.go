package supervisor

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// reapEvery is how often the worker looks for orphans that have ended, at most.
// A zombie costs nothing but its number.
const reapEvery = 100 * time.Millisecond

// reap takes the status of the orphans that the worker adopted, for ever: those
// that left their run in a double fork and ended.
func (c *Client) reap() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	pause := time.NewTimer(reapEvery)
	for {
		select {
		case <-ended:
		case <-c.reaped:
		}
		pause.Reset(reapEvery)
		<-pause.C
		if !c.reapOrphans() {
			select {
			case c.reaped <- struct{}{}:
			default:
			}
		}
	}
}

// reapOrphans answers false when it could not look, because a fork may be under
// way: its child is nobody's yet, and its status must be left to its owner. The
// lock keeps forks from beginning, since each is announced first.
func (c *Client) reapOrphans() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := make(map[int]bool, len(c.runs))
	for _, pid := range c.runs {
		if pid == 0 {
			return false
		}
		known[pid] = true
	}
	for _, pid := range listed(os.Getpid()) {
		if !known[pid] && pid > 1 {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
	return true
}
