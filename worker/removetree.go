package worker

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// removeTree removes what is called name in the folder dir, with everything in
// it. It never leaves dir, whatever links it meets and whatever is exchanged
// under its feet, and folders that were made unreadable are no obstacle. Nil
// when it is gone, or was not there.
func removeTree(dir, name string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if root.RemoveAll(name) == nil {
		return nil
	}
	loosen(root, name)
	return root.RemoveAll(name)
}

// loosen makes folders readable and writable for their owner, as far as it can;
// the removal says what is left.
func loosen(root *os.Root, name string) {
	info, err := root.Lstat(name)
	if err != nil || !info.IsDir() {
		return
	}
	_ = root.Chmod(name, 0o700) //nolint:gosec // it is about to be removed
	sub, err := root.OpenRoot(name)
	if err != nil {
		return
	}
	defer func() { _ = sub.Close() }()
	list, err := sub.Open(".")
	if err != nil {
		return
	}
	defer func() { _ = list.Close() }()
	for {
		entries, err := list.ReadDir(100)
		for _, e := range entries {
			if e.IsDir() {
				loosen(sub, e.Name())
			}
		}
		if err != nil {
			return
		}
	}
}

func ownedByUs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}
