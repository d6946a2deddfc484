package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Settable says whether this worker may set the limits that are set from
// outside, so that it is told at the start and not by every run. MemoryMax and
// PidsMax are the cgroups' business (Cgroups.Check).
func (l Limits) Settable() error { return l.settable(ownCapabilities(), hardFiles()) }

func (l Limits) settable(caps, hard uint64) error {
	has := func(n int) bool { return caps>>n&1 == 1 }
	other := l.Credential != nil && int(l.Credential.UID) != os.Getuid()
	switch {
	case l.NoFile > 0 && other && !has(unix.CAP_SYS_RESOURCE):
		return &capabilityError{"nofile", "together with user", "CAP_SYS_RESOURCE"}
	case l.NoFile > 0 && uint64(l.NoFile) > hard && !has(unix.CAP_SYS_RESOURCE): //nolint:gosec // not negative
		return fmt.Errorf("nofile: %d is more than the %d that this worker may have itself: raise its hard limit (LimitNOFILE=, ulimit -Hn), or lower nofile", l.NoFile, hard)
	case l.Nice > 0 && other && !has(unix.CAP_SYS_NICE):
		return &capabilityError{"nice", "together with user", "CAP_SYS_NICE"}
	}
	return nil
}

type capabilityError struct{ limit, when, capability string }

func (e *capabilityError) Error() string {
	return fmt.Sprintf("%s: %s it takes %s, which this worker has not: give it that (docker run --cap-add, AmbientCapabilities= in a unit), "+
		"set the limit for the worker itself, whose runs inherit it, or leave it out", e.limit, e.when, e.capability)
}

// ownCapabilities is the effective set; none where it cannot be read.
func ownCapabilities() uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(text, []byte("\nCapEff:"))
	line, _, _ := bytes.Cut(rest, []byte{'\n'})
	set, _ := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 64)
	return set
}

func hardFiles() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return unix.RLIM_INFINITY
	}
	return l.Max
}

// noCores makes what is started from here inherit that there are no core files:
// confine says so from outside as well, but may not where a run has another user.
func noCores() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &l) == nil {
		l.Cur = 0
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &l)
	}
}
