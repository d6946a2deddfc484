package process

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// confine sets the limits that are set from outside, right after the start. A
// core limit and the OOM score are a courtesy, so a failure there (a set-uid
// program) is none; a limit that was asked for is one. The process keeps its
// number until wait reaps it.
func confine(pid int, l Limits) error {
	if !l.CoreDumps {
		_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	}
	score := l.OOMScoreAdj
	if score == 0 {
		score = defaultOOMScore
	}
	if fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		_, _ = unix.Write(fd, strconv.AppendInt(nil, int64(score), 10))
		_ = unix.Close(fd)
	}
	if l.Nice > 0 {
		_ = unix.Setpriority(unix.PRIO_PROCESS, pid, ownNice()+l.Nice)
	}
	if l.NoFile == 0 {
		return nil
	}
	err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: l.NoFile, Max: l.NoFile}, nil)
	if err == unix.ESRCH { //nolint:errorlint // straight from the system
		return nil
	}
	return err
}

// ownNice is the worker's; the system call answers 20 minus it.
func ownNice() int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return 20 - n
}

// noNewPrivs is for the thread that calls it and for what it starts, for good.
func noNewPrivs() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }
