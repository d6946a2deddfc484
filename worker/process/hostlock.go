package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	lockSuffix  = ".lock"
	lockNameMax = 200
	// lockPatience is how long a held lock is tried again: a worker that starts
	// holds those of dead ones while it clears up after them.
	lockPatience = 10 * time.Second
	lockRetry    = 50 * time.Millisecond
)

// ErrHostLockHeld says that a live worker on this host has the lock.
var ErrHostLockHeld = errors.New("a worker with this id is running on this host: give one of the two another worker.id")

// HostLock says to the other workers of this host that this one is alive: a
// lock on a file of the run folder, which the kernel gives up when the worker
// ends, however it ends. No subprocess inherits it.
type HostLock struct {
	runDir string
	id     string
	file   *os.File
}

// AcquireHostLock takes the lock of the worker with this id, and makes the
// folder where it is missing. Take it before anything else on this host is done
// under the id. The error is ErrHostLockHeld where another live worker has it.
func AcquireHostLock(ctx context.Context, runDir, id string) (*HostLock, error) {
	if err := safeRunDir(runDir); err != nil {
		return nil, err
	}
	if id == "" || len(lockName(id)) > lockNameMax {
		return nil, fmt.Errorf("lock this worker's id on this host: the id %q is empty or too long: choose another worker.id", id)
	}
	runDir, err := resolved(runDir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(runDir, lockName(id))
	tick := time.NewTicker(lockRetry)
	defer tick.Stop()
	for end := time.Now().Add(lockPatience); ; {
		file, err := lockFile(path, true)
		if err == nil {
			return &HostLock{runDir: runDir, id: id, file: file}, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock this worker's id on this host: %w", err)
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("lock %s: %w", path, ErrHostLockHeld)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w: %w", path, ErrHostLockHeld, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Dir is the run folder's one name, however it was given (see Spec.RunDir).
func (l *HostLock) Dir() string { return l.runDir }

func resolved(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return "", fmt.Errorf("run folder %s: %w", dir, err)
	}
	return abs, nil
}

// Record notes where this worker's cgroup is (Cgroups.Path), so that a later
// worker finds what is left in it.
func (l *HostLock) Record(cgroup string) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("note this worker's cgroup: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(cgroup), 0); err != nil {
		return fmt.Errorf("note this worker's cgroup: %w", err)
	}
	return nil
}

// Close gives the lock up. The file stays: whoever starts next looks once more
// for leftovers and removes it.
func (l *HostLock) Close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// safeRunDir makes the folder and refuses one that others could write to: what
// its files say decides what is killed.
func safeRunDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the run folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the run folder: %w", err)
	}
	owner := -1
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(st.Uid)
	}
	if !info.IsDir() || owner != os.Geteuid() && owner != 0 || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("run folder %s: it must be a folder of this user that nobody else can write to (mode 0700): correct it or set worker.run_dir", dir)
	}
	return nil
}

func lockName(id string) string { return url.PathEscape(id) + lockSuffix }

// idOf is the id that a lock file is for.
func idOf(name string) (string, bool) {
	escaped, found := strings.CutSuffix(name, lockSuffix)
	id, err := url.PathUnescape(escaped)
	return id, found && err == nil && id != "" && lockName(id) == name
}

// lockFile opens the file and locks it.
func lockFile(path string, create bool) (*os.File, error) {
	flags := os.O_RDWR | syscall.O_NOFOLLOW
	if create {
		flags |= os.O_CREATE
	}
	for {
		file, err := os.OpenFile(path, flags, 0o600)
		if err != nil {
			return nil, err
		}
		if err = lockOpened(file); err == nil {
			return file, nil
		}
		_ = file.Close()
		if !errors.Is(err, errNameless) {
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
	}
}

// errNameless: the file was removed between its opening and its locking, by its
// last holder. A lock on it would keep nobody out.
var errNameless = errors.New("the file is not the one of its name any more")

func lockOpened(file *os.File) error {
	if err := flock(file); err != nil {
		return err
	}
	mine, err := file.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Lstat(file.Name()); err != nil || !os.SameFile(mine, named) {
		return errNameless
	}
	return nil
}

func flock(file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor fits
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// recorded is the cgroup that a lock file names, "" none.
func recorded(file *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 4096))
	if err != nil {
		return ""
	}
	return string(text)
}
