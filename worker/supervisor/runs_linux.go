package supervisor

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// run is one subprocess of the worker, from Open to Close.
type run struct {
	deadline int64 // CLOCK_BOOTTIME, ns
	expired  bool  // the deadline has passed: it stays so, whatever comes
	pid      int   // 0 before Spawned
	pidfd    int   // -1 before
	cgroup   string
}

// heard carries out one message. The descriptor is this one's to keep or close.
func (s *supervisor) heard(m message, fd int) {
	r := s.runs[m.id]
	switch {
	case m.kind == kindOpen && r == nil:
		s.runs[m.id] = &run{deadline: m.deadline, pidfd: -1, cgroup: m.cgroup}
	case (m.kind == kindOpen || m.kind == kindRenew) && r != nil:
		r.deadline = m.deadline
	case m.kind == kindSpawned && r != nil && r.pidfd < 0:
		r.pid, r.pidfd = m.pid, s.ensure(m.pid, fd)
		if r.expired {
			s.chase.begin(r)
		}
		return
	case m.kind == kindSpawned: // not announced, or closed: it has no deadline, so it may not live
		stray := &run{pid: m.pid, pidfd: s.ensure(m.pid, fd)}
		stray.signal(unix.SIGKILL)
		closeFD(stray.pidfd)
		return
	case m.kind == kindClose && r != nil:
		s.chase.end(r)
		closeFD(r.pidfd)
		delete(s.runs, m.id)
		if !s.anyLive() {
			s.chase.sweepLater()
		}
	}
	closeFD(fd)
}

// ensure makes a pidfd where none came along (a full table of descriptors, or
// none on the worker's side). The number must be a child of the worker: that
// has not reaped it as long as the worker is alive and has not closed the run.
func (s *supervisor) ensure(pid, fd int) int {
	if fd >= 0 {
		return fd
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1
	}
	if p, ok := look(pid); !ok || p.parent != s.worker.pid {
		_ = unix.Close(fd)
		return -1
	}
	return fd
}

// anyLive says that a run is open whose deadline has not passed.
func (s *supervisor) anyLive() bool {
	for _, r := range s.runs {
		if !r.expired {
			return true
		}
	}
	return false
}

// expire marks the runs whose deadline has passed and begins to kill them.
func (s *supervisor) expire(now int64) {
	some := false
	for _, r := range s.runs {
		if !r.expired && r.deadline <= now {
			r.expired, some = true, true
			s.chase.begin(r)
		}
	}
	if some && !s.anyLive() {
		s.chase.sweepNow()
	}
}

// arm sets the timer to the nearest deadline. It is absolute, on the clock that
// goes on while the machine sleeps.
func (s *supervisor) arm() {
	var nearest int64
	for _, r := range s.runs {
		if !r.expired && (nearest == 0 || r.deadline < nearest) {
			nearest = max(r.deadline, 1) // 0 would switch it off
		}
	}
	if nearest == s.armed {
		return
	}
	s.armed = nearest
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(nearest)}
	if err := unix.TimerfdSettime(s.timer, unix.TFD_TIMER_ABSTIME, &at, nil); err != nil {
		s.say("setting the timer: %v", err)
	}
}

func bootNow() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 1<<63 - 1 // a clock that cannot be read: every deadline has passed
	}
	return ts.Nano()
}

// signal reaches the main process and, on kernels that can (6.9), its group.
func (r *run) signal(sig unix.Signal) {
	if r.pidfd < 0 {
		return
	}
	_ = unix.PidfdSendSignal(r.pidfd, sig, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
	_ = unix.PidfdSendSignal(r.pidfd, sig, nil, 0)
}

// killCgroup ends everybody in the run's cgroup at once, where it has one.
func (r *run) killCgroup() {
	if r.cgroup == "" {
		return
	}
	fd, err := unix.Open(filepath.Join(r.cgroup, "cgroup.kill"), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, []byte("1"))
	_ = unix.Close(fd)
}
