package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"curfew/worker/process"
)

// temps gives each run a temporary folder of its own:
//
//	<temporary folder>/curfew-<uid>-<random>/run-1, run-2, ...
//
// The worker's one is locked while the worker lives, so that the next worker on
// this host can tell which are left over from dead ones. (systemd's tidying of
// /tmp leaves a locked folder alone, too.)
type temps struct {
	base string
	last atomic.Uint64

	mu   sync.Mutex
	dir  string   // "" before the first run and after close
	lock *os.File // the folder itself, open and locked

	removing sync.WaitGroup // of runs that left something in theirs
}

func newTemps(base string) *temps {
	if base == "" {
		base = os.TempDir()
	}
	return &temps{base: base}
}

func tempBegin() string { return "curfew-" + strconv.Itoa(os.Getuid()) + "-" }

// forRun makes the folder of one run.
func (t *temps) forRun(owner *process.Credential) (string, error) {
	for {
		root, err := t.root()
		if err != nil {
			return "", err
		}
		dir := filepath.Join(root, "run-"+strconv.FormatUint(t.last.Add(1), 10))
		err = os.Mkdir(dir, 0o700)
		if errors.Is(err, fs.ErrNotExist) { // somebody tidied it away
			t.forget(root)
			continue
		}
		if err != nil {
			return "", err
		}
		return dir, giveTo(dir, owner)
	}
}

// remove takes a run's folder away, now where it is empty, which is usual, and
// else in the background.
func (t *temps) remove(dir string, failed func(error)) {
	if dir == "" || os.Remove(dir) == nil {
		return
	}
	t.removing.Go(func() {
		if err := removeTree(filepath.Dir(dir), filepath.Base(dir)); err != nil {
			failed(fmt.Errorf("remove the temporary folder of a run: %w", err))
		}
	})
}

// root is the worker's folder, made on first use.
func (t *temps) root() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range 10 { // each further turn takes a sweep of another worker at that very moment
		if t.dir != "" {
			return t.dir, nil
		}
		dir, err := os.MkdirTemp(t.base, tempBegin())
		if err != nil {
			return "", err
		}
		if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // nobody can list it; runs of another user have to pass it
			return "", err
		}
		if lock := lockFolder(dir); lock != nil {
			t.dir, t.lock = dir, lock
		}
	}
	return "", fmt.Errorf("make a folder in %s that stays", t.base)
}

func (t *temps) forget(root string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dir == root {
		_ = t.lock.Close()
		t.dir, t.lock = "", nil
	}
}

// close removes everything. It is for when every run is over.
func (t *temps) close() error {
	t.removing.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dir == "" {
		return nil
	}
	defer func() { _ = t.lock.Close() }()
	dir := t.dir
	t.dir = ""
	return removeTree(filepath.Dir(dir), filepath.Base(dir))
}

// lockFolder answers the open folder where it is ours alone now, else nil.
func lockFolder(dir string) *os.File {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), dir)
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
		here, err1 := f.Stat()
		there, err2 := os.Lstat(dir)
		if err1 == nil && err2 == nil && os.SameFile(here, there) {
			return f
		}
	}
	_ = f.Close()
	return nil
}

// sweep removes what dead workers of this user left, and answers how many.
func (t *temps) sweep() (removed int, err error) {
	entries, err := filepath.Glob(filepath.Join(t.base, tempBegin()+"*"))
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, dir := range entries {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || !ownedByUs(info) {
			continue
		}
		lock := lockFolder(dir)
		if lock == nil {
			continue // its worker lives
		}
		err = removeTree(t.base, filepath.Base(dir))
		_ = lock.Close()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		removed++
	}
	return removed, errors.Join(errs...)
}
