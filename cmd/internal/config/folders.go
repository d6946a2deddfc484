package config

import (
	"fmt"
	"os"
	"path/filepath"
)

// StateDir is where work is kept when worker.data is empty: the user's state folder.
func StateDir(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "curfew"), nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", &Error{Problems: []Problem{{Key: "worker.data", Text: "is empty and there is no HOME to put it under: set it"}}}
	}
	return filepath.Join(home, ".local", "state", "curfew"), nil
}

// RuntimeDir is where host-local locks are kept when worker.run_dir is empty: the user's runtime folder.
func RuntimeDir(getenv func(string) string) string {
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "curfew")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("curfew-%d", os.Getuid()))
}
