package worker

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"curfew/queue"
)

// Each run has a temporary folder of its own, for itself alone, and whatever it
// leaves there is gone after it; what it links to is not.
func TestARunsTemporaryFolder(t *testing.T) {
	t.Parallel()
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.MkdirAll(filepath.Join(victim, "inside"), 0o700))
	base := t.TempDir()
	w := newBench(t).worker(func(c *Config) {
		c.Temp = base
		a := shell(`set -e; cd "$TMPDIR"; mkdir -p a/b locked/in; touch a/b/c locked/in/x; chmod 0 locked/in locked
ln -s ` + victim + ` link; ln -s ` + victim + ` a/link; echo "$TMPDIR" $(stat -c %a .)`)
		a.EnvPass = append(a.EnvPass, "TMPDIR") // the worker's is not what it gets
		c.Agents["default"] = a
	})
	met := map[string]bool{}
	for range 2 {
		session := newSession()
		seq := w.publish(t, queue.NewJob{Session: session})
		final := w.finals(t, session, 1)[seq]
		require.Equal(t, string(Succeeded), final.Outcome, final.Reason)
		dir, mode, _ := strings.Cut(final.Result.Text, " ")
		require.Equal(t, "700", mode)
		require.True(t, strings.HasPrefix(dir, base+"/"), dir)
		require.False(t, met[dir], "another run's")
		met[dir] = true
		require.Eventually(t, func() bool { _, err := os.Lstat(dir); return os.IsNotExist(err) }, patience, tick)
	}
	require.DirExists(t, filepath.Join(victim, "inside"))
	w.HandBack()
	require.NoError(t, <-w.ended)
	left, err := os.ReadDir(base)
	require.NoError(t, err)
	require.Empty(t, left, "the worker removes its own folder when it ends")
}

func TestEnvSetMayNameAnotherTemporaryFolder(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(func(c *Config) {
		a := shell(`echo "$TMPDIR"`)
		a.EnvSet = map[string]string{"TMPDIR": "/elsewhere"}
		c.Agents["default"] = a
	})
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session})
	require.Equal(t, "/elsewhere", w.finals(t, session, 1)[seq].Result.Text)
}

// asNobody runs f with the rights of an ordinary user for files.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and its rights with it
		_, _ = unix.SetfsgidRetGid(54321)
		_, _ = unix.SetfsuidRetUid(54321)
		f()
	}()
	<-done
}

func TestRemoveTreeOfAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711))
	require.NoError(t, os.Chmod(dir, 0o777))
	victim := filepath.Join(dir, "victim")
	var made, unreadable, removed error
	asNobody(t, func() {
		made = os.MkdirAll(filepath.Join(victim, "inside"), 0o700)
		tree := filepath.Join(dir, "tree")
		deep := filepath.Join(tree, "a", "b", "c")
		if e := os.MkdirAll(deep, 0o700); e != nil {
			made = e
		}
		_ = os.WriteFile(filepath.Join(deep, "file"), nil, 0o400)
		_ = os.Symlink(victim, filepath.Join(tree, "a", "link"))
		for _, d := range []string{deep, filepath.Join(tree, "a", "b"), filepath.Join(tree, "a"), tree} {
			_ = os.Chmod(d, 0)
		}
		_, unreadable = os.ReadDir(tree)
		removed = removeTree(dir, "tree")
	})
	require.NoError(t, made)
	require.ErrorIs(t, unreadable, os.ErrPermission, "the test shows nothing without this")
	require.NoError(t, removed)
	require.NoDirExists(t, filepath.Join(dir, "tree"))
	require.DirExists(t, filepath.Join(victim, "inside"), "a link was followed")
	require.NoError(t, removeTree(dir, "tree"), "what is gone is gone")
	require.NoError(t, removeTree(filepath.Join(dir, "nowhere"), "tree"))
}

func TestTemporaryFoldersOfDeadWorkers(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	live := newTemps(base)
	kept, err := live.forRun(nil)
	require.NoError(t, err)
	dead := filepath.Join(base, tempBegin()+"dead")
	require.NoError(t, os.MkdirAll(filepath.Join(dead, "run-1", "x"), 0o700))
	victim := filepath.Join(base, "victim")
	require.NoError(t, os.Mkdir(victim, 0o700))
	link, file := filepath.Join(base, tempBegin()+"link"), filepath.Join(base, tempBegin()+"file")
	require.NoError(t, os.Symlink(victim, link))
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	removed, err := newTemps(base).sweep()
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	require.NoDirExists(t, dead)
	require.DirExists(t, kept, "its worker lives")
	require.DirExists(t, victim)
	require.FileExists(t, file)

	require.NoError(t, live.close())
	require.NoDirExists(t, filepath.Dir(kept))
	if os.Geteuid() == 0 { // somebody else's
		theirs := filepath.Join(base, tempBegin()+"theirs")
		require.NoError(t, os.Mkdir(theirs, 0o700))
		require.NoError(t, os.Chown(theirs, 54321, 54321))
		removed, err = newTemps(base).sweep()
		require.NoError(t, err)
		require.Zero(t, removed)
		require.DirExists(t, theirs)
	}
}

// Somebody tidies /tmp under a worker that lives.
func TestTemporaryFolderRemade(t *testing.T) {
	t.Parallel()
	live := newTemps(t.TempDir())
	first, err := live.forRun(nil)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Dir(first)))
	second, err := live.forRun(nil)
	require.NoError(t, err)
	require.DirExists(t, second)
	require.NoError(t, live.close())
}
