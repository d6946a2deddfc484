package process

import (
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// shellTerm is how shells and many programs report their own death by SIGTERM.
const shellTerm = 128 + int(syscall.SIGTERM)

// Exit says how a subprocess ended.
type Exit struct {
	Code      int            // exit code; -1 when a signal ended it or the status was lost
	Signal    syscall.Signal // the signal that ended it; 0 none
	At        time.Time      // when its end was seen
	Leftovers int            // processes of the run that outlived it and were killed, see tree.go
	Alive     int            // those that SIGKILL had not ended two seconds later: see Process.Collect
	OOM       OOM            // whether the kernel killed one of the run for want of memory; known only with a memory cgroup
}

// OOM says whose want of memory made the kernel kill a process of a run.
type OOM int

// The answers. A tool that was killed does not mean that its agent ended by it.
const (
	NoOOM    OOM = iota // nobody was killed, or it is not known
	OOMOwn              // the run was at its own limit (Limits.MemoryMax)
	OOMOther            // the host, or a cgroup around the worker, was out of memory
)

// String is "code 1", "SIGKILL" or, where somebody else took the status,
// "unknown".
func (e Exit) String() string {
	switch {
	case e.Signal != 0:
		if name := unix.SignalName(e.Signal); name != "" {
			return name
		}
		return "signal " + strconv.Itoa(int(e.Signal))
	case e.Code < 0:
		return "unknown"
	default:
		return "code " + strconv.Itoa(e.Code)
	}
}

// Term says whether the end looks like SIGTERM's: killed by it, or code 143.
func (e Exit) Term() bool {
	return e.Signal == syscall.SIGTERM || e.Signal == 0 && e.Code == shellTerm
}
