//go:build !linux

package process

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Elsewhere a run is its group: there is no cgroup, no death with the worker,
// no list of children and no look at environments of others. What leaves the
// group is not found, neither at the end of a run nor at the next start.

// Cgroups has no counterpart here: there are only nil ones.
type Cgroups struct{}

// ProbeCgroups answers ErrNoCgroups.
func ProbeCgroups(CgroupOptions) (*Cgroups, error) { return nil, ErrNoCgroups }

// Path is "".
func (c *Cgroups) Path() string { return "" }

// Check answers ErrNoLimits for any limit on a whole run.
func (c *Cgroups) Check(l Limits) error {
	if l.MemoryMax > 0 || l.PidsMax > 0 {
		return ErrNoLimits
	}
	return nil
}

// Close does nothing.
func (c *Cgroups) Close() error { return nil }

func (c *Cgroups) newRun(Limits) (*runCgroup, error) { return nil, ErrNoCgroups }

type runCgroup struct{}

func (g *runCgroup) started() {}
func (g *runCgroup) discard() {}
func (g *runCgroup) kill()    {}
func (g *runCgroup) oom() OOM { return NoOOM }

func (g *runCgroup) path() string { return "" }

// AdoptOrphans has no counterpart here.
func AdoptOrphans(context.Context) error {
	return fmt.Errorf("become the parent of orphans: %w", errors.ErrUnsupported)
}

func (p *Process) collectTree(time.Time) (killed, alive int) { return 0, 0 }

func sweepDead(string, []dead, time.Time) (r SweepReport) { return r }

func (k *kin) forkExec(r *request, argv []string, attr *syscall.ProcAttr) (int, error) {
	k.fork.Lock()
	defer k.fork.Unlock()
	if c := r.spec.Limits.Credential; c != nil {
		attr.Sys.Credential = &syscall.Credential{Uid: c.UID, Gid: c.GID, Groups: c.Groups}
	}
	pid, err := syscall.ForkExec(r.spec.Path, argv, attr)
	if err == nil {
		k.mains[pid] = 0
	}
	return pid, err
}

// confine has no counterpart here, except that a limit that was asked for must
// not be left out in silence.
func confine(_ int, l Limits) error {
	if l.NoFile > 0 || l.Nice > 0 {
		return fmt.Errorf("nofile and nice: %w", errors.ErrUnsupported)
	}
	return nil
}

// Settable refuses what has no counterpart here.
func (l Limits) Settable() error {
	if l.NoFile > 0 || l.Nice > 0 || l.NoNewPrivs {
		return fmt.Errorf("nofile, nice and no_new_privs: %w on this system: leave them out", errors.ErrUnsupported)
	}
	return nil
}

// noCores has no counterpart here.
func noCores() {}

// oomScore has no counterpart here.
func (p *Process) oomScore(Limits) {}

// noNewPrivs has no counterpart here.
func noNewPrivs() error { return fmt.Errorf("no_new_privs: %w", errors.ErrUnsupported) }
