package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestHostLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	l, err := AcquireHostLock(t.Context(), dir, "w1")
	require.NoError(t, err)
	flags, err := unix.FcntlInt(l.file.Fd(), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.Equal(t, unix.FD_CLOEXEC, flags&unix.FD_CLOEXEC)

	short, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errFirst)
	t.Cleanup(cancel)
	_, err = AcquireHostLock(short, dir, "w1")
	require.ErrorIs(t, err, ErrHostLockHeld)
	require.ErrorIs(t, err, errFirst)

	other, err := AcquireHostLock(t.Context(), dir, "w2")
	require.NoError(t, err)
	require.NoError(t, other.Close())

	// However the folder is called, it is one.
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	linked, err := AcquireHostLock(t.Context(), link+"/.", "w3")
	require.NoError(t, err)
	require.Equal(t, l.Dir(), linked.Dir())
	require.True(t, filepath.IsAbs(linked.Dir()))
	require.NoError(t, linked.Close())

	// Somebody who clears up holds it for a moment only.
	time.AfterFunc(100*time.Millisecond, func() { _ = l.Close() })
	again, err := AcquireHostLock(t.Context(), dir, "w1")
	require.NoError(t, err)
	require.NoError(t, again.Close())
	require.NoError(t, (*HostLock)(nil).Close())
}

// The file is removed by a sweep while another is about to lock it.
func TestHostLockRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), lockName("w1"))
	file, err := os.Create(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	require.NoError(t, lockOpened(file))
	require.NoError(t, os.Remove(path))
	require.ErrorIs(t, lockOpened(file), errNameless)
	again, err := lockFile(path, true)
	require.NoError(t, err)
	t.Cleanup(func() { _ = again.Close() })
	require.ErrorIs(t, lockOpened(file), errNameless)

	dir := filepath.Join(t.TempDir(), "run")
	var wg sync.WaitGroup
	var holders atomic.Int32
	for range 4 {
		wg.Go(func() {
			for range 10 {
				l, err := AcquireHostLock(t.Context(), dir, "w1")
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) != 1 {
					t.Error("two have it")
				}
				holders.Add(-1)
				_ = os.Remove(l.file.Name())
				_ = l.Close()
			}
		})
	}
	wg.Wait()
}

func TestRunDirRefused(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	require.NoError(t, os.Chmod(open, 0o777)) //nolint:gosec // that is the case
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{open, file} {
		_, err := AcquireHostLock(t.Context(), dir, "w1")
		require.ErrorContains(t, err, dir)
	}
	for _, id := range []string{"", strings.Repeat("x", 300)} {
		_, err := AcquireHostLock(t.Context(), t.TempDir(), id)
		require.ErrorContains(t, err, "worker.id")
	}
}

func TestLockNames(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"w1", "host.name-1_2", "a/b", "..", "ä %"} {
		name := lockName(id)
		require.Equal(t, filepath.Base(name), name)
		got, ok := idOf(name)
		require.True(t, ok)
		require.Equal(t, id, got)
	}
	for _, name := range []string{"w1", ".lock", "a%zz.lock", "README"} {
		_, ok := idOf(name)
		require.False(t, ok, name)
	}
}

// mine is an id that no other process of this test uses: what a worker of that id
// leaves is killed.
func mine(id string) string { return fmt.Sprint(id, "-", os.Getpid()) }

// workerProcess is a worker in a process of its own, with runs.
type workerProcess struct {
	cmd     *exec.Cmd
	witness *witness
}

func startWorker(t *testing.T, runDir, id, how string) workerProcess {
	t.Helper()
	wp := workerProcess{witness: newWitness(t)}
	wp.cmd = selfCommand(t, "host", runDir, id, how, wp.witness.path)
	wp.cmd.Stderr = os.Stderr
	out, err := wp.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, wp.cmd.Start())
	t.Cleanup(func() { // nothing of it may stay on this machine
		_ = wp.cmd.Process.Kill()
		_ = wp.cmd.Wait()
		l, err := AcquireHostLock(context.Background(), runDir, mine("cleanup"))
		require.NoError(t, err)
		_, err = SweepLeftovers(context.Background(), l)
		require.NoError(t, err)
		require.NoError(t, l.Close())
	})
	line := make([]byte, len("ready\n"))
	_, err = io.ReadFull(out, line)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(line))
	require.True(t, wp.witness.alive(t, 20*time.Millisecond))
	return wp
}

// crash kills the worker and nothing else.
func (wp workerProcess) crash(t *testing.T) {
	t.Helper()
	require.NoError(t, wp.cmd.Process.Kill())
	_ = wp.cmd.Wait()
	require.True(t, wp.witness.alive(t, 50*time.Millisecond), "it left something")
}

// A worker and its supervisor were killed at once: the next worker of this host
// clears up, and touches nothing of a worker that lives.
//
//nolint:paralleltest // see TestCollectByMarker
func TestSweepLeftovers(t *testing.T) {
	for name, c := range map[string]struct {
		how string // what the dead worker's runs are marked with
		id  string // of the next worker; the dead one's is "dead"
	}{
		"same id":                 {"all", "dead"},
		"another id":              {"all", "next"},
		"environment alone":       {"environment", "next"},
		"token alone":             {"token", "next"},
		"token alone, same id":    {"token", "dead"},
		"cgroup alone":            {"cgroup", "next"},
		"cgroup alone, same id":   {"cgroup", "dead"},
		"cgroup, another, marked": {"cgroup and all", "next"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.how == "environment" || strings.HasPrefix(c.how, "cgroup") {
				mustLook(t, "prlimit")
			}
			if strings.HasPrefix(c.how, "cgroup") {
				_ = someCgroups(t, "look")
			}
			runDir := filepath.Join(t.TempDir(), "run")
			dead, live, id := mine("dead"), mine("live"), mine(c.id)
			gone := startWorker(t, runDir, dead, c.how)
			neighbour := startWorker(t, runDir, live, c.how)
			namesake := dead // with a run folder of its own, as that of another namespace
			if c.how == "environment" {
				namesake = mine("stranger") // where only the environment tells, an id has to be unique
			}
			stranger := startWorker(t, filepath.Join(t.TempDir(), "elsewhere"), namesake, c.how)
			gone.crash(t)

			begin := time.Now()
			l, err := AcquireHostLock(t.Context(), runDir, id)
			require.NoError(t, err)
			t.Cleanup(func() { _ = l.Close() })
			r, err := SweepLeftovers(t.Context(), l)
			require.NoError(t, err)
			t.Logf("%+v in %v", r, time.Since(begin))
			require.Positive(t, r.Killed)
			require.Zero(t, r.Alive)
			require.Equal(t, strings.HasPrefix(c.how, "cgroup"), r.Cgroups == 1)
			require.False(t, gone.witness.alive(t, time.Second), "something of the dead worker is alive")
			for _, w := range []*witness{neighbour.witness, stranger.witness} {
				require.True(t, w.alive(t, 50*time.Millisecond), "something of a live worker was killed")
			}
			if id != dead {
				require.NoFileExists(t, filepath.Join(runDir, lockName(dead)))
			}
			require.FileExists(t, filepath.Join(runDir, lockName(live)))

			r, err = SweepLeftovers(t.Context(), l)
			require.NoError(t, err)
			require.Equal(t, SweepReport{Dead: 1}, r)
		})
	}
}

// A lock file that names something else gets nothing killed.
func TestSweepTrustsNoPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{"", "relative/curfew-w1-1", "/", dir, "/sys/fs/cgroup", "/sys/fs/cgroup/unified", filepath.Join(dir, "curfew-w1-123")} {
		require.False(t, dead{id: "w1", cgroup: path}.ownsCgroup(), path)
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "curfew-w1-123"), 0o700))
	require.False(t, dead{id: "w1", cgroup: filepath.Join(dir, "curfew-w1-123")}.ownsCgroup(), "no cgroup")
}

// Its own subprocesses are none of the leftovers.
//
//nolint:paralleltest // see TestCollectByMarker
func TestSweepSparesItsOwn(t *testing.T) {
	runDir := filepath.Join(t.TempDir(), "run")
	l, err := AcquireHostLock(t.Context(), runDir, mine("own"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	w := newWitness(t)
	s := marked(w.script("echo ready; exec sleep 61"), mine("own"), "run")
	s.RunDir = runDir
	p, r := run(t, s)
	r.await(t, "ready")
	report, err := SweepLeftovers(t.Context(), l)
	require.NoError(t, err)
	require.Zero(t, report.Killed)
	require.True(t, w.alive(t, 20*time.Millisecond))
	p.Kill(nil)
	requireClean(t, w, p)
}

// host is a worker with three runs, for the tests above.
func host(args []string) {
	runDir, id, how, path := args[0], args[1], args[2], args[3]
	l, err := AcquireHostLock(context.Background(), runDir, id)
	must(err)
	var c *Cgroups
	if strings.HasPrefix(how, "cgroup") {
		c, err = ProbeCgroups(CgroupOptions{Worker: id})
		must(err)
		must(l.Record(c.Path()))
	}
	texts := map[string]string{"all": detached + ";" + plainly + ";" + cleared, "environment": plainly, "token": cleared, "cgroup": naked, "cgroup and all": naked + ";" + detached}
	for i := range 3 {
		s := Spec{
			Path: "/bin/sh", Args: []string{"-c", "exec 9>" + path + "\n" + texts[how] + "\nsleep 0.05; echo ready; exec 9>&-; exec sleep 61"},
			Env: []string{"PATH=/usr/bin:/bin"}, RunDir: runDir, Cgroups: c,
		}
		r := newRecorder()
		s.Sink = r
		_, err := Start(context.Background(), marked(s, id, fmt.Sprint("run", i)))
		must(err)
		<-r.lines
	}
	fmt.Println("ready")
	forever()
}

// limited is a process that is alone in its cgroup and hands a controller on.
func limited(args []string) {
	own, err := os.MkdirTemp(args[0], "own-")
	must(err)
	must(control(own, "cgroup.procs", "0"))
	c, err := probeIn(own, CgroupOptions{Worker: "w"}, args[1:])
	must(err)
	for name, why := range c.controllers {
		must(why)
		fmt.Println("handed on:", name)
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	must(err)
	if !bytes.Contains(text, []byte("/"+leafName)) {
		must(fmt.Errorf("it did not move: %s", text))
	}
	p, err := Start(context.Background(), Spec{Path: "/bin/true", Cgroups: c})
	must(err)
	fmt.Println(p.Exit())
	must(c.Close())
}

// moved is a process in the leaf of a cgroup.
func moved(args []string) {
	own, err := os.MkdirTemp(args[0], "own-")
	must(err)
	must(move(own, []int{os.Getpid()}))
	c, err := ProbeCgroups(CgroupOptions{Worker: "w"})
	must(err)
	fmt.Println("beside it:", filepath.Dir(c.Path()) == own)
	p, err := Start(context.Background(), Spec{Path: "/bin/true", Cgroups: c})
	must(err)
	fmt.Println(p.Exit())
	must(c.Close())
}
