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
	NoFile uint64
	// CoreDumps lets processes leave core files, which hold prompts and keys.
	CoreDumps bool
	// Nice is added to the main process' niceness, 0 to 19.
	Nice int
	// OOMScoreAdj is set for the main process, -1000 to 1000; 0 means 500.
	// Below the worker's own needs root.
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

// defaultOOMScore: the kernel should take an agent and not the worker that
// answers for it.
const defaultOOMScore = 500

// ErrNoLimits says that this host cannot bound memory or processes of a run.
var ErrNoLimits = errors.New("cannot limit memory or processes of a run here: it needs a writable cgroup v2 with that controller (under systemd: Delegate=yes); arrange for it or take memory_max and pids_max out")

// check finds limits that cannot be kept. A run must not go without a bound
// that somebody counts on.
func (l Limits) check(c *Cgroups) error {
	switch {
	case l.MemoryMax < 0 || l.PidsMax < 0:
		return fmt.Errorf("limits must not be negative: memory_max %d, pids_max %d", l.MemoryMax, l.PidsMax)
	case l.Nice < 0 || l.Nice > 19:
		return fmt.Errorf("nice must be from 0 to 19, it is %d", l.Nice)
	case l.OOMScoreAdj < -1000 || l.OOMScoreAdj > 1000:
		return fmt.Errorf("oom_score_adj must be from -1000 to 1000, it is %d", l.OOMScoreAdj)
	}
	if err := c.Check(l); err != nil {
		return err
	}
	return nil
}
