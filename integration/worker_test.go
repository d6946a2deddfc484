package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"
)

// worker is a `curfew worker` process.
type worker struct{ *proc }

type workerOptions struct {
	env    []string
	args   []string
	change func(*config)
	how    func(*command) // how it is started
}

func killAt(step string) workerOptions {
	return workerOptions{env: []string{"CURFEW_TEST_KILL_AT=" + step}}
}

// launch starts a worker and does not wait for it.
func (w *world) launch(name string, options ...workerOptions) *worker {
	w.t.Helper()
	bin, err := lab.curfewTest()
	require.NoError(w.t, err)
	return w.launchBinary(bin, name, options...)
}

func (w *world) launchBinary(bin, name string, options ...workerOptions) *worker {
	w.t.Helper()
	conf := w.conf
	c := command{name: name, path: bin, dir: w.dir, env: baseEnv()}
	if w.bug != "" {
		c.env = append(c.env, "CURFEW_TEST_BUG="+w.bug)
	}
	var more []string
	for _, o := range options {
		c.env = append(c.env, o.env...)
		more = append(more, o.args...)
		if o.change != nil {
			o.change(&conf)
		}
	}
	file := filepath.Join(w.dir, name+".yaml")
	require.NoError(w.t, conf.write(file))
	c.args = append([]string{"worker", "--config", file}, more...)
	for _, o := range options {
		if o.how != nil {
			o.how(&c)
		}
	}
	p, err := lab.start(c)
	require.NoError(w.t, err)
	x := &worker{proc: p}
	w.mu.Lock()
	w.workers = append(w.workers, x)
	w.mu.Unlock()
	return x
}

// worker starts one and waits until it pulls.
func (w *world) worker(name string, options ...workerOptions) *worker {
	w.t.Helper()
	x := w.launch(name, options...)
	w.untilReady(x)
	return x
}

func (w *world) untilReady(x *worker) {
	w.t.Helper()
	w.until(patience, func() bool {
		if !x.alive() {
			require.FailNow(w.t, fmt.Sprintf("worker %s ended before it was ready", x.name), x.output())
		}
		return x.ready()
	}, "worker %s is ready", x.name)
}

// kill9 kills the worker itself, as the kernel does when memory is short; its supervisor ends with it.
func (x *worker) kill9() { _ = syscall.Kill(x.inner(), syscall.SIGKILL) }

func (x *worker) ready() bool { return strings.Contains(x.output(), "worker ready") }

// stop asks for a drain and wants exit code 0.
func (w *world) stop(x *worker) {
	w.t.Helper()
	if !x.alive() {
		return
	}
	code, polite := x.end(patience)
	require.True(w.t, polite, "worker %s did not end within %s after SIGTERM", x.name, patience)
	require.Zero(w.t, code, "exit code of worker %s after a drain\n%s", x.name, tail(x.output(), 2000))
}

// stopAll stops the workers that live, all at once.
func (w *world) stopAll() {
	w.t.Helper()
	for _, x := range w.workers {
		if x.alive() {
			x.signal(termSignal)
		}
	}
	for _, x := range w.workers {
		w.stop(x)
	}
}

// baseEnv is what a worker gets of this process' environment: enough for a shell's worth, and nothing of CURFEW_*.
func baseEnv() []string {
	out := []string{"GORACE=atexit_sleep_ms=50"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "GOCOVERDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return out
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}
