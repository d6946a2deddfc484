package process

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// confine sets the limits that are set from outside, right after the start. A
// core limit and the OOM score are a courtesy, so a failure there (a set-uid
// program) is none; a limit that was asked for is one. The process keeps its
// number until wait reaps it.
func confine(pid int, l Limits) error {
	core := uint64(max(l.Core, 0)) //nolint:gosec // not negative
	var own unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_CORE, nil, &own) == nil {
		core = min(core, own.Max)
	}
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{Cur: core, Max: core}, nil)
	if l.Nice > 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, pid, min(ownNice()+l.Nice, 19)); err != nil && !errors.Is(err, unix.ESRCH) {
			return &unsetLimitError{"nice", err}
		}
	}
	if l.NoFile == 0 {
		return nil
	}
	files := uint64(l.NoFile) //nolint:gosec // check says that it is not negative
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files}, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		return &unsetLimitError{"nofile", err}
	}
	return nil
}

// ownNice is the worker's; the system call answers 20 minus it.
func ownNice() int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return 20 - n
}

const (
	scoreTries = 12               // the waits between them double: four seconds in all
	scoreWait  = time.Millisecond // after the first
)

// oomScore raises the OOM score of the main process. Between the exec and the
// moment that the kernel lets the new program be looked at, its files under
// /proc belong to root, because the worker's do: a worker that is an ordinary
// user has to ask again then. That must not hold up a start, let alone fail it.
func (p *Process) oomScore(l Limits) {
	score := l.OOMScoreAdj
	if score == 0 {
		score = DefaultOOMScore
	}
	if score <= ownOOMScore() {
		return // it is inherited, and an ordinary user may not lower it
	}
	if setOOMScore(p.leader.pid, score) {
		return
	}
	go func() {
		wait := scoreWait
		for range scoreTries {
			t := time.NewTimer(wait)
			select {
			case <-p.done:
				t.Stop()
				return
			case <-t.C:
			}
			p.mu.Lock() // while it is held, the number is still taken by the main process
			set := p.over || setOOMScore(p.leader.pid, score)
			p.mu.Unlock()
			if set {
				return
			}
			wait *= 2
		}
	}()
}

// setOOMScore answers false where it may work later.
func setOOMScore(pid, score int) bool {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return errors.Is(err, unix.ENOENT)
	}
	defer func() { _ = unix.Close(fd) }()
	_, err = unix.Write(fd, strconv.AppendInt(nil, int64(score), 10))
	return err == nil || errors.Is(err, unix.ESRCH)
}

func ownOOMScore() int {
	text, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(string(bytes.TrimSpace(text)))
	return n
}

// noNewPrivs is for the thread that calls it and for what it starts, for good.
func noNewPrivs() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }
