package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// laboratory is what the scenarios of one test run share: the binaries, one pair of servers, and the list of every process
// that was started, so that none is left behind.
type laboratory struct {
	dir    string
	spawn  chan func()
	shared func() (*stack, error)

	curfewTest  func() (string, error) // with kill points, and the race detector where these tests have it
	curfewPlain func() (string, error) // as released, for measurements
	natsServer  func() (string, error)

	mu    sync.Mutex
	procs []*proc

	// machine is held shared by scenarios, and alone by those that need the cores for themselves.
	machine sync.RWMutex
}

func newLaboratory() (*laboratory, error) {
	dir, err := os.MkdirTemp("", "curfew-it")
	if err != nil {
		return nil, err
	}
	l := &laboratory{dir: dir, spawn: make(chan func())}
	l.curfewTest = sync.OnceValues(func() (string, error) {
		return l.build("curfew", raceFlag, "-tags=curfewtest", "./cmd/curfew")
	})
	l.curfewPlain = sync.OnceValues(func() (string, error) { return l.build("curfew-plain", "./cmd/curfew") })
	l.natsServer = sync.OnceValues(func() (string, error) {
		return l.build("nats-server", "github.com/nats-io/nats-server/v2")
	})
	l.shared = sync.OnceValues(func() (*stack, error) { return l.newStack(filepath.Join(dir, "shared"), anyRedis) })
	go l.spawner()
	return l, nil
}

// spawner starts every child on one thread that stays: children ask the kernel to kill them when the thread that started
// them ends, which covers a test run that is killed or panics.
func (l *laboratory) spawner() {
	runtime.LockOSThread()
	for f := range l.spawn {
		f()
	}
}

func (l *laboratory) build(name string, args ...string) (string, error) {
	out := filepath.Join(l.dir, name)
	args = slices.DeleteFunc(args, func(arg string) bool { return arg == "" })
	cmd := exec.Command("go", append([]string{"build", "-o", out}, args...)...)
	cmd.Dir = ".." // the module's folder
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return out, nil
}

func (l *laboratory) track(p *proc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.procs = append(l.procs, p)
}

func (l *laboratory) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.procs {
		p.signal(killSignal)
	}
	for _, p := range l.procs {
		p.wait(60 * time.Second)
	}
	if os.Getenv("CURFEW_TEST_KEEP") != "" {
		fmt.Fprintln(os.Stderr, "integration: kept", l.dir)
		return
	}
	_ = os.RemoveAll(l.dir)
}

// share lets this scenario, which is parallel, run beside others. A test shares or its subtests do, never both: who waits for
// the machine would stand between them.
func share(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers and workers: not with -short")
	}
	lab.machine.RLock()
	t.Cleanup(lab.machine.RUnlock)
}

// alone gives this scenario, which is parallel, the machine.
func alone(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers and workers: not with -short")
	}
	lab.machine.Lock()
	t.Cleanup(lab.machine.Unlock)
}
