package process

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func sweepDead(runDir string, gone []dead, end time.Time) (r SweepReport) {
	byID := map[string]bool{}
	var theirs []token
	for _, d := range gone {
		byID[d.id] = true
		theirs = append(theirs, workerToken(runDir, d.id))
		if !d.ownsCgroup() {
			continue
		}
		killed, alive := collectCgroup(d.cgroup, end)
		r.Killed += killed
		r.Alive += alive
		if _, err := os.Lstat(d.cgroup); os.IsNotExist(err) {
			r.Cgroups++
		}
	}
	h := &hunt{}
	h.mine = func(pid int) bool {
		worn, there := h.wornBy(pid)
		if !there {
			return false
		}
		marked := false
		for _, t := range theirs {
			marked = marked || t.sameWorker(worn)
		}
		if isToken(worn) && !marked {
			return false // of a run of some other worker, or of one of that id with another run folder
		}
		// The environment says it in full, where it still says something.
		if id, ok := variable(h.environ(pid), WorkerVar); ok {
			marked = byID[id]
		}
		return marked && !ours(pid)
	}
	killed, alive := h.run(end)
	r.Killed += killed
	r.Alive += alive
	return r
}

// ours says that a process comes from this one: it is no leftover.
func ours(pid int) bool {
	for range 1000 { // a chain that changes while it is read must not hold us
		st, ok := statOf(pid)
		if !ok || st.parent <= 1 {
			return false
		}
		if pid = st.parent; pid == os.Getpid() {
			return true
		}
	}
	return false
}

// ownsCgroup checks what a lock file says before anything is killed by it.
func (d dead) ownsCgroup() bool {
	if d.cgroup == "" || !filepath.IsAbs(d.cgroup) ||
		!strings.HasPrefix(filepath.Base(d.cgroup), cgroupBegin+url.PathEscape(d.id)+"-") {
		return false
	}
	var fs unix.Statfs_t
	return unix.Statfs(d.cgroup, &fs) == nil && int64(fs.Type) == unix.CGROUP2_SUPER_MAGIC //nolint:unconvert // its width differs between machines
}
