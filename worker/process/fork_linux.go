package process

import (
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// forkExec forks with the run's token worn and puts the child on the list.
func (k *kin) forkExec(r *request, argv []string, attr *syscall.ProcAttr) (int, error) {
	k.fork.Lock()
	defer k.fork.Unlock()
	if len(r.spec.Marker) > 0 {
		r.from.token = k.tokens.next(r.spec.RunDir, workerOf(r.spec.Marker))
		r.from.cursor, r.from.at = lastPID(), time.Now()
		var takeOff func()
		if r.from.token, takeOff = wear(r.from.token); r.from.token != 0 {
			defer takeOff()
		}
	}
	if r.cgroup != nil {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, r.cgroup.fd
	}
	if c := r.spec.Limits.Credential; c != nil {
		attr.Sys.Credential = &syscall.Credential{Uid: c.UID, Gid: c.GID, Groups: c.Groups}
	}
	pid, err := syscall.ForkExec(r.spec.Path, argv, attr)
	if err != nil {
		return pid, err
	}
	k.mains[pid] = 0
	if k.adopting.Load() {
		if st, ok := statOf(pid); ok {
			k.mains[pid] = st.start
		}
	}
	return pid, nil
}

// wear makes the next child inherit the token, until takeOff. It is carried in
// the soft limit for file locks, which no kernel since 2.4.25 looks at, so that
// nothing changes for the process and nobody clears it. It answers 0 where it
// cannot be set: then the environment is the only marker.
func wear(t token) (worn token, takeOff func()) {
	var before unix.Rlimit
	if unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &before) != nil {
		return 0, nil
	}
	if unix.Prlimit(0, unix.RLIMIT_LOCKS, &unix.Rlimit{Cur: uint64(t), Max: before.Max}, nil) != nil {
		return 0, nil
	}
	return t, func() { _ = unix.Prlimit(0, unix.RLIMIT_LOCKS, &before, nil) }
}

// wornBy is what a process (or the one of that thread) carries.
func (s *scanner) wornBy(pid int) (v uint64, there bool) {
	var l unix.Rlimit
	switch err := unix.Prlimit(pid, unix.RLIMIT_LOCKS, nil, &l); err {
	case nil:
		return l.Cur, true
	case unix.ESRCH:
		return 0, false
	default: // of another user, or of a program that took another one's rights
		return s.limitOf(pid)
	}
}

const noToken = math.MaxUint64 // as "unlimited"
