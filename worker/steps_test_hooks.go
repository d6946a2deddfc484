//go:build curfewtest

package worker

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

//nolint:gochecknoglobals // test builds only: the environment is read once a process
var killAt = sync.OnceValue(func() *killPoint {
	name, count, _ := strings.Cut(os.Getenv("CURFEW_TEST_KILL_AT"), ":")
	k := &killPoint{at: step(name), left: 1}
	if n, err := strconv.Atoi(count); err == nil {
		k.left = n
	}
	return k
})

type killPoint struct {
	mu   sync.Mutex
	at   step
	left int
}

// reached kills the worker, as kill -9 would, at the step that
// CURFEW_TEST_KILL_AT=<step>[:n] names, the n-th time it comes there.
func reached(s step) {
	pauseAt(s)
	k := killAt()
	if k.at != s {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.left--; k.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// pauseAt keeps whoever comes to the step that CURFEW_TEST_PAUSE_AT=<step>:<file>
// names waiting until the file exists, and says so by making <file>.reached.
func pauseAt(s step) {
	at, file, ok := strings.Cut(os.Getenv("CURFEW_TEST_PAUSE_AT"), ":")
	if !ok || step(at) != s {
		return
	}
	if err := os.WriteFile(file+".reached", nil, 0o600); err != nil {
		return // the test finds out
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := os.Stat(file); err == nil {
			return
		}
	}
}

// plantedEffects says that CURFEW_TEST_BUG=effects removes a finished job's
// message without doing its effects again, so that a test may see that the
// tests miss this guard.
func plantedEffects() bool { return os.Getenv("CURFEW_TEST_BUG") == "effects" }
