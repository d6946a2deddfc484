package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// witness knows whether anything of a run is alive without asking the code that
// collects it: every process of the run holds the other end of a FIFO open.
type witness struct {
	path string
	file *os.File
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{path: filepath.Join(t.TempDir(), "fifo")}
	require.NoError(t, unix.Mkfifo(w.path, 0o666))
	var err error
	w.file, err = os.OpenFile(w.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.file.Close() })
	return w
}

// alive answers whether a holder is left after the wait.
func (w *witness) alive(t *testing.T, wait time.Duration) bool {
	t.Helper()
	require.NoError(t, w.file.SetReadDeadline(time.Now().Add(wait)))
	n, err := w.file.Read(make([]byte, 1))
	require.Zero(t, n, "nobody writes")
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// script is a shell program that holds the witness open as descriptor 9.
func (w *witness) script(text string) Spec {
	return Spec{
		Path: "/bin/sh", Args: []string{"-c", "exec 9>" + w.path + "\n" + text},
		Env: []string{"PATH=/usr/bin:/bin"}, Grace: time.Minute,
	}
}

func marked(s Spec, worker, run string) Spec {
	// This test may run twice at once on a machine.
	s.Marker = []string{WorkerVar + "=" + worker, "CURFEW_SESSION=" + run, fmt.Sprint("CURFEW_FENCE=", os.Getpid())}
	s.Env = append(s.Env, s.Marker...)
	return s
}

// chain is a program whose generations replace each other for ever, each in a
// session of its own.
func chain(t *testing.T, start string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chain")
	text := "#!/bin/sh\n" + start + " setsid \"$0\" </dev/null >/dev/null 2>&1 &\nsleep 0.01\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o700)) //nolint:gosec // a program
	return path
}

// detached starts a sleep that nobody waits for, in a session of its own.
const detached = `( setsid sh -c 'sleep 61 & sleep 61' </dev/null >/dev/null 2>&1 & )`

// cleared does the same with nothing of the run's environment.
const cleared = `( env -i setsid /bin/sh -c 'sleep 61 & sleep 61' </dev/null >/dev/null 2>&1 & )`

// plainly does it without the token: only the environment says whose it is.
const plainly = `( prlimit --locks=4096: setsid sh -c 'sleep 61 & sleep 61' </dev/null >/dev/null 2>&1 & )`

// hostile are the runs that every way of collecting has to clear up. Each
// leaves what its name says and ends well.
func hostile(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"nothing":       "true",
		"sessions":      detached + ";" + detached + ";" + detached,
		"cleared":       cleared,
		"tools":         "sh -c 'sleep 61' >/dev/null 2>&1 & setsid -f sleep 61 >/dev/null 2>&1",
		"chain":         chain(t, "") + ";" + chain(t, ""),
		"cleared chain": chain(t, "env -i PATH=/usr/bin:/bin"),
		"stopped":       `( setsid sh -c 'kill -STOP $$' </dev/null >/dev/null 2>&1 & ) ; sleep 0.05`,
		"deaf":          `( setsid sh -c 'trap "" TERM INT HUP; sleep 61; sleep 61' </dev/null >/dev/null 2>&1 & )`,
	}
}

func requireClean(t *testing.T, w *witness, p *Process) Exit {
	t.Helper()
	e := end(t, p, nil)
	require.Zero(t, e.Alive)
	require.Zero(t, p.Collect())
	require.False(t, w.alive(t, time.Second), "something of the run is alive")
	return e
}

// The token is worn by the whole process while it forks: nothing else may fork
// then, so these tests are not parallel.
//
//nolint:paralleltest // see above
func TestCollectByMarker(t *testing.T) {
	for name, text := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			w := newWitness(t)
			p := start(t, marked(w.script(text+"\nsleep 0.03; exit 0"), "w1", t.Name()))
			e := requireClean(t, w, p)
			require.Equal(t, "code 0", e.String())
			if name == "nothing" {
				require.Zero(t, e.Leftovers)
			} else {
				require.Positive(t, e.Leftovers)
			}
			require.Less(t, time.Since(e.At), collectWait+readWait)
		})
		t.Run(name+", after a while", func(t *testing.T) {
			w := newWitness(t)
			p := start(t, marked(w.script(text+"\nsleep 0.15; exit 3"), "w1", t.Name()))
			require.Equal(t, "code 3", requireClean(t, w, p).String())
		})
		t.Run(name+", killed later", func(t *testing.T) {
			w := newWitness(t)
			s := marked(w.script(text+"\nsleep 0.03; echo ready; exec sleep 61"), "w1", t.Name())
			p, r := run(t, s)
			r.await(t, "ready")
			p.Kill(nil)
			require.Equal(t, "SIGKILL", requireClean(t, w, p).String())
		})
	}
}

//nolint:paralleltest // see TestCollectByMarker
func TestCollectByEnvironmentAlone(t *testing.T) {
	mustLook(t, "prlimit")
	w := newWitness(t)
	p := start(t, marked(w.script(plainly+"\nsleep 0.2"), "w1", t.Name()))
	require.GreaterOrEqual(t, requireClean(t, w, p).Leftovers, 2)
}

// Without a marker such a process is not found: the tests above prove nothing
// if this one fails.
//
//nolint:paralleltest // see TestCollectByMarker
func TestWitness(t *testing.T) {
	w := newWitness(t)
	s := w.script(`( env -i setsid /bin/sh -c 'sleep 1' </dev/null >/dev/null 2>&1 & ) ; sleep 0.05`)
	p := start(t, s)
	require.Zero(t, end(t, p, nil).Leftovers)
	require.True(t, w.alive(t, 100*time.Millisecond))
	require.False(t, w.alive(t, patience))
}

//nolint:paralleltest // see TestCollectByMarker
func TestCollectTwoThousand(t *testing.T) {
	w := newWitness(t)
	s := marked(w.script(`i=0; while [ $i -lt 2000 ]; do setsid sleep 61 </dev/null >/dev/null 2>&1 & i=$((i+1)); done; echo forked; exit 0`), "w1", "many")
	p, r := run(t, s)
	r.await(t, "forked")
	e := end(t, p, nil)
	t.Logf("%d killed within %v of the end", e.Leftovers, time.Since(e.At))
	require.GreaterOrEqual(t, e.Leftovers, 1900)
	if e.Alive > 0 { // so many may take longer than a run is given, where the machine is busy
		require.Eventually(t, func() bool { return p.Collect() == 0 }, patience, time.Millisecond)
	}
	require.False(t, w.alive(t, time.Second))
}

// The end of one run does not touch another one of the same worker.
//
//nolint:paralleltest // see TestCollectByMarker
func TestCollectSparesNeighbours(t *testing.T) {
	var neighbours []*witness
	for i := range 3 {
		w := newWitness(t)
		p, r := run(t, marked(w.script(detached+";"+cleared+"\necho ready; exec sleep 61"), "w1", fmt.Sprint("neighbour", i)))
		r.await(t, "ready")
		require.NotNil(t, p)
		neighbours = append(neighbours, w)
	}
	w := newWitness(t)
	p := start(t, marked(w.script(detached+";"+cleared+"\nsleep 0.03"), "w1", "mine"))
	require.Positive(t, requireClean(t, w, p).Leftovers)
	for _, n := range neighbours {
		require.True(t, n.alive(t, 50*time.Millisecond))
	}
	worn, _ := (&scanner{}).wornBy(os.Getpid())
	require.False(t, isToken(worn), "the worker has taken it off")
	live := theKin()
	live.fork.Lock()
	defer live.fork.Unlock()
	require.GreaterOrEqual(t, len(live.mains), 3)
}

// A run that is over, with its processes and those of a neighbour, told apart
// though none carries a marker any more: by age.
//
//nolint:paralleltest // it starts a process that forks
func TestCollectUnmarkedOrphans(t *testing.T) {
	mustLook(t, "prlimit")
	out, err := selfCommand(t, "orphanage", t.TempDir()).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "older run: alive 0, held false")
	require.Contains(t, string(out), "younger run's orphan: held true")
	require.Contains(t, string(out), "afterwards: held false")
	require.Contains(t, string(out), "wrong statuses 0\n")
	require.Contains(t, string(out), "zombies 0\n")
}

// A worker without rights that does not let others read it can still collect.
//
//nolint:paralleltest // it starts a process that forks
func TestCollectWithoutRights(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	mustLook(t, "prlimit")
	dir, err := os.MkdirTemp("", "process-test-") //nolint:usetesting // others must be able to go in there
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777)) //nolint:gosec // that is what it is for
	program, err := os.ReadFile(selfPath())
	require.NoError(t, err)
	path := filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(path, program, 0o755)) //nolint:gosec // as above

	cmd := selfCommand(t, "undumpable", dir)
	cmd.Path, cmd.Dir = path, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "own environment readable by a child: false")
	require.Contains(t, string(out), "the child dumpable: true")
	require.Contains(t, string(out), "alive 0, held false")
	require.Contains(t, string(out), "died with it: true")
}

func selfCommand(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, selfPath(), args...)
	cmd.Env = []string{childVar + "=" + name, raceFast, "PATH=/usr/bin:/bin"}
	return cmd
}

func TestTokens(t *testing.T) {
	t.Parallel()
	a, b := newTokens(), newTokens()
	one, two, other := a.next("/run/a", "w1"), a.next("/run/a/", "w1"), b.next("/run/a", "w2")
	require.NotEqual(t, one, two)
	for _, tok := range []token{one, two, other} {
		require.True(t, isToken(uint64(tok)))
		require.Less(t, uint64(tok), uint64(1)<<63)
	}
	require.True(t, workerToken("/run/a", "w1").sameWorker(uint64(one)))
	require.True(t, workerToken("/run/a", "w1").sameWorker(uint64(two)))
	require.False(t, workerToken("/run/a", "w1").sameWorker(uint64(other)))
	require.False(t, workerToken("/run/b", "w1").sameWorker(uint64(one)))
	for _, v := range []uint64{0, 1024, noToken, 1<<63 - 1} {
		require.False(t, isToken(v), strconv.FormatUint(v, 16))
	}
}

func TestHasVars(t *testing.T) {
	t.Parallel()
	env := []byte(strings.Join([]string{"PATH=/bin", "A=1", "B=2 3", "AA=1"}, "\x00") + "\x00")
	for _, c := range []struct {
		want []string
		has  bool
	}{
		{[]string{"A=1"}, true},
		{[]string{"A=1", "B=2 3"}, true},
		{[]string{"A=1", "B=2"}, false},
		{[]string{"A="}, false},
		{[]string{"C=1"}, false},
		{nil, false},
	} {
		require.Equal(t, c.has, hasVars(env, c.want), c.want)
	}
	v, ok := variable(env, "B")
	require.True(t, ok)
	require.Equal(t, "2 3", v)
	_, ok = variable(env, "P")
	require.False(t, ok)
}

// What has no right to be asked is asked for as text.
func TestTokenAsText(t *testing.T) {
	t.Parallel()
	var s scanner
	worn, there := s.limitOf(os.Getpid())
	require.True(t, there)
	require.False(t, isToken(worn))
	_, there = s.limitOf(1 << 30)
	require.False(t, there)

	cmd := exec.CommandContext(t.Context(), "/bin/sleep", "61")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	tok := newTokens().next("", "text")
	require.NoError(t, unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_LOCKS, &unix.Rlimit{Cur: uint64(tok), Max: noToken}, nil))
	worn, there = s.limitOf(cmd.Process.Pid)
	require.True(t, there)
	require.Equal(t, uint64(tok), worn)
	worn, _ = s.wornBy(cmd.Process.Pid)
	require.Equal(t, uint64(tok), worn)
}

// Generations that replace each other: each is born after the list was read,
// and gone when its turn comes, having left the next one.
//
//nolint:paralleltest // see TestCollectByMarker
func TestPassChases(t *testing.T) {
	const generations = 5
	var last *exec.Cmd
	born := 0
	next := func() {
		born++
		last = exec.CommandContext(t.Context(), "/bin/sleep", "61")
		require.NoError(t, last.Start())
		t.Cleanup(func() { _ = last.Process.Kill(); _ = last.Wait() })
	}
	h := &hunt{}
	h.mine = func(pid int) bool {
		switch {
		case born == 0 && pid == os.Getpid():
			next()
		case last == nil || pid != last.Process.Pid:
		case born < generations:
			require.NoError(t, last.Process.Kill())
			_ = last.Wait()
			next()
		default:
			return true
		}
		return false
	}
	alive, sure := h.pass()
	if lastPID() == 0 {
		t.Skip("this system does not tell its last process number")
	}
	require.Equal(t, 1, alive)
	require.True(t, sure)
	require.Contains(t, h.seen, last.Process.Pid)
	require.Equal(t, generations, born)
}
