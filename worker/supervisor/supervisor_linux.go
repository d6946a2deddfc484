package supervisor

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// supervisor is the state of the parent. One goroutine owns all of it.
type supervisor struct {
	say     func(format string, args ...any)
	sock    int // our end
	handed  int // the worker's end, closed once it has it
	timer   int // timerfd on CLOCK_BOOTTIME, set to the nearest deadline
	armed   int64
	signals signalPipe
	worker  worker
	asked   int // how many signals asked for an end
	runs    map[string]*run
	tree    *tree
	chase   chase
	memory  *memory

	message, rights []byte // what hearWorker reads into
}

// worker is the one child.
type worker struct {
	pid, pidfd int
	lost       bool // its end of the socket is closed, or it is reaped
	reaped     bool
	status     unix.WaitStatus
	lostAt     time.Time
}

// leaveTime bounds the killing of what a dead worker left.
const leaveTime = 5 * time.Second

// supervise is the supervisor's whole life. Everything is looked at after every
// wake-up, in this order: a renewal that waits in the socket is heard before its
// deadline is judged, so a supervisor that was itself held up kills nobody for
// it.
func (s *supervisor) supervise() int {
	ready := []unix.PollFd{
		{Fd: int32(s.signals.read), Events: unix.POLLIN}, //nolint:gosec // descriptors are small
		{Fd: int32(s.sock), Events: unix.POLLIN},         //nolint:gosec // the same
		{Fd: int32(s.timer), Events: unix.POLLIN},        //nolint:gosec // the same
	}
	for {
		if _, err := unix.Poll(ready, s.patience(time.Now())); err != nil && !errors.Is(err, unix.EINTR) {
			s.say("waiting for the worker: %v", err)
		}
		s.hearSignals()
		s.hearWorker()
		s.expire(bootNow())
		childless := s.reap()
		s.pursue(time.Now())
		if s.worker.lost {
			ready[1].Fd = -1 // a closed socket is ready for ever
			if childless && s.worker.reaped {
				return s.exitCode()
			}
			if time.Since(s.worker.lostAt) > leaveTime {
				s.say("%d processes could not be killed and stay behind: %v", len(s.chase.left), s.chase.left)
				return s.exitCode()
			}
		}
		s.arm()
		s.memory.woken()
	}
}

// hearSignals turns signals into orders. Those that were there together count
// as one wish. SIGHUP alone never makes it more urgent: it comes along with
// SIGTERM (systemd) or twice (a terminal that is closed).
func (s *supervisor) hearSignals() {
	var b [64]byte
	n, err := unix.Read(s.signals.read, b[:])
	if err != nil {
		return
	}
	asked, again := false, false
	for _, sig := range b[:n] {
		switch unix.Signal(sig) {
		case unix.SIGTERM, unix.SIGINT:
			asked, again = true, true
		case unix.SIGHUP:
			asked = true
		case unix.SIGQUIT:
			s.signalWorker(unix.SIGQUIT)
		default: // SIGCHLD only wakes the loop; SIGTSTP and SIGPIPE are caught to be dropped
		}
	}
	switch {
	case asked && s.asked == 0:
		s.asked = 1
		s.order(kindDrain)
	case again && s.asked == 1:
		s.asked = 2
		s.order(kindHandBack)
	}
}

func (s *supervisor) order(k kind) {
	b, err := message{kind: k}.encode()
	if err != nil {
		return
	}
	if err := unix.Sendto(s.sock, b, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil); err != nil && !s.worker.lost {
		s.say("the worker could not be told to end: %v", err)
	}
}

// hearWorker takes in everything that the worker has sent.
func (s *supervisor) hearWorker() {
	if s.message == nil {
		s.message, s.rights = make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	}
	b, rights := s.message, s.rights
	for !s.worker.lost {
		n, oobn, _, _, err := unix.Recvmsg(s.sock, b, rights, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil || n <= 0:
			s.lose()
			return
		}
		fd := descriptor(rights[:oobn])
		m, err := decode(b[:n])
		if err != nil {
			s.say("a message of the worker: %v", err)
			closeFD(fd)
			continue
		}
		s.heard(m, fd)
	}
}

// descriptor takes the one that came beside a message; -1 none.
func descriptor(rights []byte) int {
	list, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return -1
	}
	for _, m := range list {
		if fds, err := unix.ParseUnixRights(&m); err == nil && len(fds) == 1 {
			return fds[0]
		}
	}
	return -1
}

func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// lose begins the end: nobody answers for the runs any more.
func (s *supervisor) lose() {
	if s.worker.lost {
		return
	}
	s.worker.lost, s.worker.lostAt = true, time.Now()
	s.signalWorker(unix.SIGKILL) // one that only closed its socket
	for _, r := range s.runs {
		r.killCgroup()
		r.signal(unix.SIGKILL)
	}
}

// reap takes the status of everybody that has ended. It answers true when there
// are no children left at all: then nothing descends from this process.
func (s *supervisor) reap() (childless bool) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return errors.Is(err, unix.ECHILD)
		case pid == 0:
			return false
		case pid == s.worker.pid && !s.worker.reaped:
			s.worker.reaped, s.worker.status = true, status
			s.lose()
		}
	}
}

func (s *supervisor) signalWorker(sig unix.Signal) {
	if !s.worker.reaped {
		_ = unix.PidfdSendSignal(s.worker.pidfd, sig, nil, 0)
	}
}

// exitCode is the worker's, as a shell would tell it.
func (s *supervisor) exitCode() int {
	switch {
	case !s.worker.reaped:
		s.say("the worker could not be killed")
		return exitNoWorker
	case s.worker.status.Signaled():
		s.say("the worker was ended by %s; %d processes of its runs were killed", unix.SignalName(s.worker.status.Signal()), s.chase.killed)
		return 128 + int(s.worker.status.Signal())
	}
	return s.worker.status.ExitStatus()
}

// patience is how long to wait for news, in ms; -1 for ever.
func (s *supervisor) patience(now time.Time) int {
	switch at := s.chase.next(s.worker.lost); {
	case at.IsZero():
		return -1
	case at.Before(now):
		return 0
	default:
		return int(at.Sub(now)/time.Millisecond) + 1
	}
}
