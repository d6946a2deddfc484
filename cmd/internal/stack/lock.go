package stack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another process uses the data folder.
var ErrLocked = errors.New("the data folder is in use")

// lockFolder takes the lock file for as long as this process lives: the kernel gives it free even after a kill -9.
// Its content, the owner's process id, is for the message only.
func lockFolder(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		owner, _ := io.ReadAll(io.LimitReader(f, 32))
		f.Close()
		by := "another curfew"
		if pid := strings.TrimSpace(string(owner)); pid != "" {
			by += " (process " + pid + ")"
		}
		return nil, fmt.Errorf("%w: %s is used by %s; stop that one, or name another folder with --data", ErrLocked, filepath.Dir(path), by)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the data folder %s: %w", filepath.Dir(path), err)
	}
	return f, nil
}
