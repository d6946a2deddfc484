package process

import (
	"syscall"
	"time"
)

// Collecting a run: what its main process left behind is killed after every
// end, a good one included. Here that is its process group. What leaves the
// group (tool shells in sessions of their own, daemons) wants a cgroup, a walk
// over the worker's adopted children or a scan for the run's marker in
// environments; those belong in this file.

const (
	collectWait  = time.Second          // how long killed leftovers may take to be gone
	collectRound = 5 * time.Millisecond // between two looks
)

// collectGroup kills what is left of the group of a reaped leader. It answers
// how many there were, one where the system cannot count, and how many are
// still alive when it gives up.
func collectGroup(l *leader) (killed, alive int) {
	if l.groupGone() {
		return 0, 0
	}
	killed = max(1, groupMembers(l.pid))
	tick := time.NewTicker(collectRound)
	defer tick.Stop()
	for end := time.Now().Add(collectWait); ; <-tick.C {
		l.killLeftovers()
		if alive = groupMembers(l.pid); alive == 0 || time.Now().After(end) {
			return killed, alive
		}
	}
}

// signalNumber is kill(2) that cannot be made to mean "everybody" (-1), "my own
// group" (0) or init (1).
func signalNumber(pid int, group bool, sig syscall.Signal) error {
	if pid <= 1 {
		return syscall.EPERM
	}
	if group {
		pid = -pid
	}
	return syscall.Kill(pid, sig)
}
