package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"curfew/worker/agent"
	"curfew/worker/process"
)

// sessionsFolder holds the work folders, below Config.Data.
const sessionsFolder = "sessions"

// workFolder makes a session's folder, which belongs to whom its runs belong to.
func workFolder(data, session string, owner *process.Credential) (string, error) {
	all := filepath.Join(data, sessionsFolder)
	if err := os.MkdirAll(all, 0o711); err != nil { //nolint:gosec // nobody can list it; runs of another user have to pass it
		return "", err
	}
	dir := filepath.Join(all, session)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if owner != nil { // it may have been made when no agent had another user
		if err := os.Chmod(all, 0o711); err != nil { //nolint:gosec // as above
			return "", err
		}
	}
	return dir, giveTo(dir, owner)
}

// giveTo makes a folder belong to the user that a run has; nil changes nothing.
func giveTo(dir string, owner *process.Credential) error {
	if owner == nil {
		return nil
	}
	return os.Lchown(dir, int(owner.UID), int(owner.GID))
}

// reachable says whether each agent's runs can get to the folders that this
// worker makes for them. The error is a *agent.UserError.
func (c Config) reachable(folders ...string) error {
	var errs []error
	for _, name := range sortedNames(c.Agents) {
		a := c.Agents[name]
		if a.Limits.Credential == nil {
			continue
		}
		for _, dir := range folders {
			if err := passable(dir, a.Limits.Credential); err != nil {
				errs = append(errs, &agent.UserError{Agent: name, Key: "user", Name: a.User, Err: err})
			}
		}
	}
	return errors.Join(errs...)
}

// passable says whether a user may go through a folder and all that it is in.
func passable(dir string, c *process.Credential) error {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		bit := fs.FileMode(0o001)
		switch {
		case !ok || c.UID == 0:
			bit = 0
		case st.Uid == c.UID:
			bit = 0o100
		case st.Gid == c.GID || slices.Contains(c.Groups, st.Gid):
			bit = 0o010
		}
		if info.Mode()&bit != bit {
			return fmt.Errorf("it may not enter %s (%v), so no run could use the folders in it: chmod o+x %s, or set worker.data to a folder that everybody may enter, as /var/lib/curfew", dir, info.Mode(), dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}
