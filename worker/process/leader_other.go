//go:build !linux

package process

import (
	"errors"
	"sync"
	"syscall"
)

// leader is the main process by its number: these systems have no pidfd here.
// It is reaped by awaitEnd, so that between the end and the lock taken in wait
// a signal by number meets a free number; that is a matter of microseconds and
// numbers go round slowly.
type leader struct {
	pid    int
	once   sync.Once
	status syscall.WaitStatus
	known  bool
}

func groupByFDSupported() bool { return false }

func sysProcAttr(*int) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func newLeader(pid, _ int, _ bool) *leader { return &leader{pid: pid} }

func (l *leader) awaitEnd() {
	l.once.Do(func() { l.status, l.known = reapNumber(l.pid) })
}

func (l *leader) ended() bool { return false }

func (l *leader) signal(sig syscall.Signal) error { return signalNumber(l.pid, false, sig) }

func (l *leader) signalGroup(sig syscall.Signal) error { return signalNumber(l.pid, true, sig) }

func (l *leader) beforeReap() { _ = signalNumber(l.pid, true, syscall.SIGKILL) }

func (l *leader) reap() (syscall.WaitStatus, bool) { return l.status, l.known }

func (l *leader) groupGone() bool {
	return errors.Is(signalNumber(l.pid, true, 0), syscall.ESRCH)
}

func (l *leader) killLeftovers() {}

func (l *leader) close() {}

// groupMembers cannot count here.
func groupMembers(int) int { return 0 }

// keepDescriptors has no counterpart here.
func keepDescriptors() {}
