package process

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// leader is the main process as the kernel names it. Its pidfd names this very
// process for ever; its number only until it is reaped.
type leader struct {
	pid       int
	file      *os.File // the pidfd, in the runtime's poller; nil where there is none
	conn      syscall.RawConn
	fd        int  // the same pidfd, -1 none
	groupByFD bool // see groupByFDSupported
}

// groupByFDSupported says whether this kernel (6.9 and later) signals a whole
// group through its leader's pidfd. Such a signal reaches that group or
// nobody, even after the leader was reaped and its number went to a stranger.
func groupByFDSupported() bool {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.PidfdSendSignal(fd, 0, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
	return err == nil || errors.Is(err, syscall.ESRCH) // we may lead no group
}

func sysProcAttr(pidfd *int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, PidFD: pidfd}
}

func newLeader(pid, pidfd int, groupByFD bool) *leader {
	l := &leader{pid: pid, fd: pidfd}
	if pidfd < 0 {
		return l
	}
	l.groupByFD = groupByFD
	// Non-blocking puts it into the runtime's poller, so that a live subprocess
	// costs a parked goroutine and not a thread blocked in wait.
	_, _ = unix.FcntlInt(uintptr(pidfd), unix.F_SETFL, unix.O_NONBLOCK)
	l.file = os.NewFile(uintptr(pidfd), "pidfd")
	if conn, err := l.file.SyscallConn(); err == nil {
		l.conn = conn
	}
	return l
}

// awaitEnd returns once the main process has ended. It stays unreaped, which
// keeps its number taken.
func (l *leader) awaitEnd() {
	if l.conn != nil {
		ended := false
		err := l.conn.Read(func(uintptr) bool {
			ended = l.ended()
			return ended
		})
		if err == nil && ended {
			return
		}
	}
	for {
		err := unix.Waitid(unix.P_PID, l.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// ended says whether the main process has ended, without reaping it.
func (l *leader) ended() bool {
	idType, id := unix.P_PID, l.pid
	if l.fd >= 0 {
		idType, id = unix.P_PIDFD, l.fd
	}
	for {
		var info unix.Siginfo
		err := unix.Waitid(idType, id, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		switch {
		case err == nil:
			return info.Signo != 0
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN): // what a non-blocking pidfd says for "not yet"
			return false
		default:
			return true // ECHILD: reaped already
		}
	}
}

// signal reaches the main process alone. Not to be called after reap.
func (l *leader) signal(sig syscall.Signal) error {
	if l.fd >= 0 {
		return unix.PidfdSendSignal(l.fd, sig, nil, 0)
	}
	return signalNumber(l.pid, false, sig)
}

// signalGroup reaches the whole group. Not to be called after reap.
func (l *leader) signalGroup(sig syscall.Signal) error {
	if l.groupByFD {
		return unix.PidfdSendSignal(l.fd, sig, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
	}
	return signalNumber(l.pid, true, sig)
}

// beforeReap kills the group while its number is surely ours, where the pidfd
// cannot do it later.
func (l *leader) beforeReap() {
	if !l.groupByFD {
		_ = signalNumber(l.pid, true, syscall.SIGKILL)
	}
}

// reap takes the status of a main process that has ended; false when somebody
// else took it.
func (l *leader) reap() (syscall.WaitStatus, bool) {
	return reapNumber(l.pid)
}

// groupGone says, after reap, that the group has no member. Asking by number
// may ask about a stranger's group; that only leads to a look at the members.
func (l *leader) groupGone() bool {
	if l.groupByFD {
		return errors.Is(unix.PidfdSendSignal(l.fd, 0, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP), syscall.ESRCH)
	}
	return errors.Is(signalNumber(l.pid, true, 0), syscall.ESRCH)
}

// killLeftovers kills the group after reap, where that is surely ours.
func (l *leader) killLeftovers() {
	if l.groupByFD {
		_ = unix.PidfdSendSignal(l.fd, syscall.SIGKILL, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
	}
}

func (l *leader) close() {
	if l.file != nil {
		_ = l.file.Close()
	}
}
