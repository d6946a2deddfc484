package process

import (
	"errors"
	"fmt"
)

// Limits is what a subprocess may do to its host. The zero value leaves
// everything as the worker has it, except that there are no core dumps and
// that a run is taken before the worker when memory runs out.
type Limits struct {
	// MemoryMax (bytes) and PidsMax (processes and threads) bound the whole run
	// and need Spec.Cgroups, see Cgroups.Check. 0: no bound.
	MemoryMax, PidsMax int64
	// NoFile is how many files each process may have open, soft and hard; 0: as
	// the worker. More than the worker's own hard limit needs root.
	NoFile int64
	// Core bounds core files, in bytes; they hold prompts and keys.
	Core int64
	// Nice is added to the main process' niceness, 0 to 19.
	Nice int
	// OOMScoreAdj is for the main process and what it starts, up to 1000: the
	// higher, the sooner the kernel takes it when the host is out of memory. 0
	// means DefaultOOMScore. A run never has less than the worker.
	OOMScoreAdj int
	// Credential runs it as another user; needs root.
	Credential *Credential
	// NoNewPrivs keeps set-uid programs from gaining rights.
	NoNewPrivs bool
}

// Credential names a user by number; Groups are all the further groups.
type Credential struct {
	UID, GID uint32
	Groups   []uint32
}

// DefaultOOMScore makes the kernel take an agent and not the worker that
// answers for it.
const DefaultOOMScore = 500

// ErrNoLimits says that this host cannot bound memory or processes of a run.
var ErrNoLimits = errors.New("this host cannot limit it")

// LimitError names the limit that ErrNoLimits is about, and what to do.
type LimitError struct {
	Limit string // memory_max or pids_max
	Cause error  // what the system said
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: %v: %v. It takes a cgroup v2 that this worker may divide: under systemd Delegate=yes in the unit; "+
		"in a shell systemd-run --user --scope -p Delegate=yes; in a container a writable /sys/fs/cgroup and nothing else in its cgroup "+
		"(--cgroupns=private, and --privileged or a runtime that delegates). Else leave %s out", e.Limit, ErrNoLimits, e.Cause, e.Limit)
}

// Unwrap makes it ErrNoLimits and its cause.
func (e *LimitError) Unwrap() []error { return []error{ErrNoLimits, e.Cause} }

// check finds limits that cannot be kept. A run must not go without a bound
// that somebody counts on.
func (l Limits) check(c *Cgroups) error {
	switch {
	case l.MemoryMax < 0 || l.PidsMax < 0 || l.NoFile < 0 || l.Core < 0:
		return fmt.Errorf("limits must not be negative: memory_max %d, pids_max %d, nofile %d, core %d", l.MemoryMax, l.PidsMax, l.NoFile, l.Core)
	case l.Nice < 0 || l.Nice > 19:
		return fmt.Errorf("nice must be from 0 to 19, it is %d", l.Nice)
	case l.OOMScoreAdj < 0 || l.OOMScoreAdj > 1000:
		return fmt.Errorf("oom_score_adj must be from 0 to 1000, it is %d", l.OOMScoreAdj)
	}
	if err := c.Check(l); err != nil {
		return err
	}
	return nil
}

// unsetLimitError names a limit that the system refused.
type unsetLimitError struct {
	name string
	err  error
}

func (e *unsetLimitError) Error() string {
	return fmt.Sprintf("%s: %v: the worker's own hard limit is lower, or the run has another user and the worker may not limit it "+
		"(CAP_SYS_RESOURCE for nofile, CAP_SYS_NICE for nice)", e.name, e.err)
}

func (e *unsetLimitError) Unwrap() error { return e.err }
