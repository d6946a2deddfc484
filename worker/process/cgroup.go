package process

import "errors"

// ErrNoCgroups says that there is no cgroup v2 here that this process may make runs'
// cgroups in. Runs are then collected by group, adopted orphans and markers.
var ErrNoCgroups = errors.New("no writable cgroup v2 (under systemd: Delegate=yes)")

// CgroupOptions are for ProbeCgroups.
type CgroupOptions struct {
	// Worker is this worker's id; it becomes part of the cgroup's name.
	Worker string
	// Limits asks for the memory and pids controllers as well. A cgroup that
	// hands on controllers may have no processes of its own, so this process
	// and those of Along move into a cgroup curfew-worker beside the runs'.
	Limits bool
	// Along are the processes that move with this one: its supervisor.
	Along []int
}
