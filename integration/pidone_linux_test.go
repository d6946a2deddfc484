package integration

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPIDOne: as the first process of a PID namespace, as in a container, it reaps whatever is orphaned, and drains.
func TestPIDOne(t *testing.T) {
	t.Parallel()
	needNamespace(t)
	share(t)
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) {
		c.Log.Level = "info"
		c.Worker.DrainTimeout = patience.String()
		shellAgent(c, `[ ! -e "$1/slow" ] || { touch "$1/up"; sleep 1; }`+"\n"+leaver)
	})
	self, err := os.Executable()
	require.NoError(t, err)
	x := w.worker("w1", workerOptions{how: func(c *command) { *c = asInit(*c, self) }})
	own, err := os.Readlink("/proc/self/ns/pid")
	require.NoError(t, err)
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", x.pid()))
	require.NoError(t, err)
	require.NotEqual(t, own, theirs, "it is in a namespace of its own")

	const sessions = 20
	var names [sessions]string
	for i := range names {
		names[i] = newSession()
	}
	var finals, bad atomic.Int64
	w.onFinal(func(e event) {
		if e.Outcome != "succeeded" {
			bad.Add(1)
		}
		finals.Add(1)
	})
	zombies := func() (n int) {
		for _, p := range descendantsOf(x.pid()) {
			if p.zombie {
				n++
			}
		}
		return n
	}
	count, most := sized(300, 10_000), 0
	begin := time.Now()
	for published := 0; published < count; published += 100 {
		for i := range 100 {
			_, err := w.js.Publish(w.ctx(), w.jobSubject(names[i%sessions]), []byte("x"))
			require.NoError(t, err)
		}
		w.until(patience, func() bool { most = max(most, zombies()); return finals.Load() >= int64(published+100) }, "%d runs are over", published+100)
	}
	took := time.Since(begin)
	require.Zero(t, bad.Load(), "runs that did not succeed")
	w.until(patience, func() bool { return len(childrenOf(x.pid())) == 1 && len(childrenOf(x.inner())) == 0 }, "nobody is left but the worker, dead or alive")
	t.Logf("%d runs in %s: at most %d zombies at a time, none afterwards", count, took.Round(100*time.Millisecond), most)

	// A live run is given its time by a drain.
	w.open(w.dir + "/slow")
	_, err = w.js.Publish(w.ctx(), w.jobSubject(names[0]), []byte("x"))
	require.NoError(t, err)
	w.until(patience, func() bool { return exists(w.dir + "/up") }, "a run is live")
	w.stop(x)
	w.until(patience, func() bool { return finals.Load() == int64(count+1) }, "it has ended")
	require.Zero(t, bad.Load(), "the run that the drain waited for")
}

// asInit has a command run as the first process of a PID namespace.
func asInit(c command, self string) command {
	c.args = append([]string{c.path}, c.args...)
	c.path, c.env = self, append(c.env, roleEnv+"="+roleInit)
	c.as = func(a *syscall.SysProcAttr) { a.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS }
	return c
}

// needNamespace skips what needs a PID namespace where there is none to be had.
func needNamespace(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p, err := lab.start(asInit(command{name: "true", path: "/bin/true", dir: t.TempDir(), env: baseEnv()}, self))
	if err == nil {
		if code, ended := p.wait(patience); ended && code == 0 {
			return
		}
		err = errors.New(p.output())
	}
	t.Skipf("no PID namespace with a /proc of its own to be had here, root has them outside of containers: %v", err)
}
