//go:build curfewtest

package worker

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
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
