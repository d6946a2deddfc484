package integration

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const nobody = 65534

// asNobody starts a worker as an ordinary user, to whom the scenario's folder belongs from here on. The folder gets a copy of
// the test binary, which others may run.
func (w *world) asNobody(name string) *worker {
	w.t.Helper()
	x := w.launch(name, workerOptions{how: func(c *command) {
		w.giveAway()
		c.env = append(c.env, "HOME="+w.dir)
		c.as = func(a *syscall.SysProcAttr) { a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody} }
	}})
	w.untilReady(x)
	return x
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can start a worker as somebody else")
	}
}

// giveAway makes the scenario's folder nobody's. The way there is open to those who know it.
func (w *world) giveAway() {
	w.t.Helper()
	require.NoError(w.t, os.Chmod(lab.dir, 0o711))
	require.NoError(w.t, filepath.WalkDir(w.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}))
}

// copySelf puts a copy of the test binary into a folder, with these permissions.
func copySelf(t *testing.T, dir string, mode os.FileMode) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	path := filepath.Join(dir, "self")
	// Whoever forks while the file is open for writing makes it busy: no program.
	syscall.ForkLock.RLock()
	err = os.WriteFile(path, self, 0o700)
	syscall.ForkLock.RUnlock()
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, mode))
	return path
}

// spy says whether it may read the environment of its own, its worker and its supervisor.
const spy = `look() { if cat "/proc/$2/environ" >/dev/null 2>&1; then echo "$1 read"; else echo "$1 refused"; fi; }
look own $$ >"$1/spy"
look worker $PPID >>"$1/spy"
look supervisor "$(sed -n 's/^PPid:[^0-9]*//p' /proc/$PPID/status)" >>"$1/spy"
exit 0`

// TestSecretsStayPrivate: a subprocess of the worker's own user cannot read the environment, where passwords may be, of
// worker or supervisor.
func TestSecretsStayPrivate(t *testing.T) {
	t.Parallel()
	needRoot(t)
	share(t)
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) { shellAgent(c, spy) })
	x := w.asNobody("w1")
	w.succeeds(newSession())
	said, err := os.ReadFile(w.dir + "/spy")
	require.NoError(t, err)
	require.Equal(t, "own read\nworker refused\nsupervisor refused\n", string(said))
	for _, pid := range []int{x.pid(), x.inner()} {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		require.NoError(t, err)
		require.Contains(t, string(status), fmt.Sprintf("Uid:\t%d\t%d", nobody, nobody), "it is the same user")
	}
	w.stopAll()
}

// TestStuckLeftovers: what the worker cannot kill, because it became root, is told; the session waits, its lease is kept, and
// nobody runs it elsewhere until it is gone.
func TestStuckLeftovers(t *testing.T) {
	t.Parallel()
	needRoot(t)
	share(t)
	var file string
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) {
		file = c.dir() + "/stuck"
		shellAgent(c, `[ -e "$1/stuck" ] || { `+roleEnv+`=`+roleRoot+` setsid "$1/bin/self" "$1/stuck" >/dev/null 2>&1 & while [ ! -s "$1/stuck" ]; do sleep 0.01; done; }; exit 0`)
	})
	bin := w.dir + "/bin"
	require.NoError(t, os.Mkdir(bin, 0o755))
	x := w.asNobody("w1")
	program := copySelf(t, bin, 0o755|os.ModeSetuid) // root's, unlike the rest
	require.FileExists(t, program)

	session := newSession()
	ack, err := w.js.Publish(w.ctx(), w.jobSubject(session), []byte("x"))
	require.NoError(t, err)
	first := &job{Name: fmt.Sprint(ack.Sequence)}
	w.until(patience, func() bool { return len(pidsIn(t, file)) == 1 }, "somebody is there whom the worker may not kill")
	stuck := pidsIn(t, file)[0]
	t.Cleanup(func() { _ = syscall.Kill(stuck, syscall.SIGKILL) })
	w.until(patience, func() bool { return len(w.eventsOf(first, "warning")) == 1 }, "an event says so")
	require.Contains(t, w.eventsOf(first, "warning")[0].Reason, "do not die")
	require.Contains(t, x.output(), "the lease is kept until they do")

	w.worker("w2")
	ack, err = w.js.Publish(w.ctx(), w.jobSubject(session), []byte("x"))
	require.NoError(t, err)
	second := &job{Name: fmt.Sprint(ack.Sequence)}
	until := w.leaseUntil(session)
	w.until(patience, func() bool { return w.leaseUntil(session).After(until) }, "the lease is renewed")
	_, over := w.final(first)
	require.False(t, over, "its job is not over while something of its run lives")
	require.Empty(t, w.eventsOf(second, "started"), "the session went on beside what is left of it")
	require.True(t, lives(stuck))
	locks, err := w.stack.redis.keys(t.Context(), w.ns+":{"+session+"}:lock")
	require.NoError(t, err)
	require.Len(t, locks, 1, "the lease is kept")

	require.NoError(t, syscall.Kill(stuck, syscall.SIGKILL))
	require.Equal(t, "succeeded", w.untilFinal(first).Outcome)
	require.Equal(t, "succeeded", w.untilFinal(second).Outcome)
	require.Len(t, w.eventsOf(first, "started"), 1)
	require.False(t, strings.Contains(x.output(), "the lease was lost"), x.output())
	w.stopAll()
}
