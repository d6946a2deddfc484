package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"curfew/worker"
	"curfew/worker/agent"
	"curfew/worker/process"
)

// A limit that somebody counts on is refused at the start where it cannot be kept, and the refusal says what to do.
func TestLimitsThatThisHostCannotKeep(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"memory_max", "pids_max"} {
		a := &agent.Agent{Limits: process.Limits{NoFile: 100}}
		wc := &worker.Config{Agents: map[string]*agent.Agent{"big": a}}
		require.NoError(t, limitable(wc, nil))
		require.False(t, cgroupOptions(wc).Limits, "no controller is asked for that nobody needs")
		if a.Limits.MemoryMax = 1 << 30; name == "pids_max" {
			a.Limits.MemoryMax, a.Limits.PidsMax = 0, 10
		}
		require.True(t, cgroupOptions(wc).Limits)
		err := limitable(wc, errors.New("mounted read-only"))
		require.Equal(t, exitUsage, exitCode(err))
		for _, part := range []string{"agents.big.limits: " + name, "Delegate=yes", "--cgroupns", "mounted read-only"} {
			require.ErrorContains(t, err, part)
		}
	}
}
