package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runCgroup is the cgroup of one run.
type runCgroup struct {
	dir     string
	fd      int  // to start in it; -1 none
	memory  bool // it counts kills for want of memory
	limited bool // it has a memory limit of its own
}

// limit sets what the whole run may use. Without the bound on swap a run would
// not be stopped by its memory limit, only slowed down by it.
func (g *runCgroup) limit(l Limits) error {
	if l.MemoryMax > 0 {
		if err := control(g.dir, "memory.max", strconv.FormatInt(l.MemoryMax, 10)); err != nil {
			return err
		}
		if err := control(g.dir, "memory.swap.max", "0"); err != nil && !errors.Is(err, syscall.ENOENT) {
			return err // a kernel without swap accounting has no such file
		}
	}
	if l.PidsMax > 0 {
		return control(g.dir, "pids.max", strconv.FormatInt(l.PidsMax, 10))
	}
	return nil
}

// started: nothing else is started in it from here.
func (g *runCgroup) started() {
	if g != nil && g.fd >= 0 {
		_ = unix.Close(g.fd)
		g.fd = -1
	}
}

func (g *runCgroup) path() string {
	if g == nil {
		return ""
	}
	return g.dir
}

// discard removes a cgroup that nothing was started in.
func (g *runCgroup) discard() {
	if g != nil {
		g.started()
		_ = unix.Rmdir(g.dir)
	}
}

// kill ends every process in it, and those that are just being born.
func (g *runCgroup) kill() {
	if g != nil {
		_ = control(g.dir, "cgroup.kill", "1")
	}
}

// oom says whether the kernel killed one of its processes for want of memory,
// and whose want it was. memory.events counts the dead of this cgroup and below,
// whoever was out of memory; "oom" in memory.events.local counts how often this
// very cgroup was at its limit.
func (g *runCgroup) oom() OOM {
	if g == nil || !g.memory {
		return NoOOM
	}
	events, err := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	if err != nil || eventCount(events, "oom_kill") == 0 {
		return NoOOM
	}
	if g.limited {
		own, err := os.ReadFile(filepath.Join(g.dir, "memory.events.local"))
		if err != nil { // before Linux 5.2
			own = events
		}
		if eventCount(own, "oom") > 0 {
			return OOMOwn
		}
	}
	return OOMOther
}

// collect kills what is in it and removes it. It answers how many processes
// there were and how many are left when time is over.
func (g *runCgroup) collect(end time.Time) (killed, alive int) {
	return collectCgroup(g.dir, end)
}

func collectCgroup(dir string, end time.Time) (killed, alive int) {
	if err := unix.Rmdir(dir); err == nil || errors.Is(err, syscall.ENOENT) { // the usual case: empty
		return 0, 0
	}
	killed = len(cgroupProcs(dir))
	tick := time.NewTicker(collectTick)
	defer tick.Stop()
	for {
		_ = control(dir, "cgroup.kill", "1")
		if err := removeCgroup(dir); err == nil {
			return killed, 0
		}
		if time.Now().After(end) {
			// An empty one that cannot be removed is left for the next start.
			return killed, len(cgroupProcs(dir))
		}
		<-tick.C
	}
}

// cgroupsIn lists a cgroup and those below it, parents first.
func cgroupsIn(dir string) []string {
	var all []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return nil // gone meanwhile
	})
	return all
}

// removeCgroup removes a cgroup and what is below it; nil when it is gone.
func removeCgroup(dir string) error {
	err := unix.Rmdir(dir)
	if err == nil || errors.Is(err, syscall.ENOENT) {
		return nil
	}
	all := cgroupsIn(dir)
	for _, below := range slices.Backward(all) {
		if e := unix.Rmdir(below); e != nil && !errors.Is(e, syscall.ENOENT) {
			return e
		}
	}
	return nil
}

// cgroupProcs are the processes in it and below.
func cgroupProcs(dir string) []int {
	var pids []int
	for _, d := range cgroupsIn(dir) {
		text, err := os.ReadFile(filepath.Join(d, "cgroup.procs"))
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
