//go:build linux

package supervisor

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A run's cgroup is killed by its own file, whose name is all that a plain
// folder has to offer: at its deadline, and when the worker has gone.
func TestCgroupIsKilled(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*supervisor){
		"deadline":    func(s *supervisor) { s.expire(2) },
		"worker gone": func(s *supervisor) { s.lose() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "cgroup.kill")
			require.NoError(t, os.WriteFile(file, nil, 0o600))
			s := &supervisor{say: sayer(io.Discard), sock: -1, tree: newTree(), runs: map[string]*run{}, worker: worker{pidfd: -1, reaped: true}}
			// A number that nobody has: only the cgroup can be killed.
			s.runs["a"] = &run{deadline: 1, pid: 1 << 30, pidfd: -1, cgroup: dir}
			s.runs["b"] = &run{deadline: bootNow() + int64(time.Hour), pidfd: -1}
			end(s)
			said, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, "1", string(said))
		})
	}
}
