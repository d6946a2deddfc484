package agent

import (
	"errors"
	"fmt"
	"strings"

	units "github.com/docker/go-units"
)

// memoryLeast is the least that a run can be given: less is a unit forgotten.
const memoryLeast = 1 << 20

// ParseSize reads a size: 512MiB, 4GiB, or a number of bytes. Units count in
// steps of 1024, with or without the i. The empty text is 0.
func ParseSize(text string) (int64, error) {
	if strings.TrimSpace(text) == "" {
		return 0, nil
	}
	n, err := units.RAMInBytes(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no size: write it as 512MiB or 4GiB", text)
	}
	return n, nil
}

// FormatSize writes a size as ParseSize reads it.
func FormatSize(n int64) string {
	return units.CustomSize("%.4g%s", float64(n), 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"})
}

func (a *Agent) checkLimits(bad report) {
	l := a.Limits
	for key, n := range map[string]int64{"nofile": l.NoFile, "core": l.Core, "memory_max": l.MemoryMax, "pids_max": l.PidsMax} {
		if n < 0 {
			bad("limits."+key, "%d is negative: leave it out for no limit", n)
		}
	}
	if l.MemoryMax > 0 && l.MemoryMax < memoryLeast {
		bad("limits.memory_max", "%s is too little for any program: write it with its unit, as 4GiB", FormatSize(l.MemoryMax))
	}
	if l.Nice < 0 || l.Nice > 19 {
		bad("limits.nice", "%d is not from 0 to 19", l.Nice)
	}
	if l.OOMScoreAdj < 0 || l.OOMScoreAdj > 1000 {
		bad("limits.oom_score_adj", "%d is not from 1 to 1000", l.OOMScoreAdj)
	}
	if a.Group != "" && a.User == "" {
		bad("group", "%q stands without user: set both, or user alone", a.Group)
	}
}

// LimitError is a limit that this host cannot keep.
type LimitError struct {
	Agent string
	Err   error // a *process.LimitError for one that takes a cgroup
}

func (e *LimitError) Error() string { return fmt.Sprintf("agents.%s.limits: %v", e.Agent, e.Err) }

func (e *LimitError) Unwrap() error { return e.Err }

// NeedsControllers says whether runs have a limit that takes a cgroup.
func (a *Agent) NeedsControllers() bool { return a.Limits.MemoryMax > 0 || a.Limits.PidsMax > 0 }

var errNotRoot = errors.New("the worker is not root, and only root can run a program as somebody else: start it as root, or leave user out and start it as that user")
