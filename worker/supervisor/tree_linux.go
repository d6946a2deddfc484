package supervisor

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// proc is a process as the kernel showed it once. Its number may be another's
// by now; number and start time together name it for ever.
type proc struct {
	pid, parent, group, session int
	start                       uint64 // in clock ticks since boot
	dead                        bool   // a zombie: it runs nothing
}

// tree reads who descends from a process.
type tree struct {
	// whole: the kernel does not list children (CONFIG_PROC_CHILDREN), so every
	// process is looked at.
	whole bool
}

func newTree() *tree {
	_, err := os.Stat("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children")
	return &tree{whole: err != nil}
}

// under lists the descendants of root, parents before their children. What is
// born or orphaned meanwhile may be missing, so one empty list proves nothing
// while any of them lives.
func (t *tree) under(root int) []proc {
	children := listed
	if t.whole {
		children = byParent()
	}
	var found []proc
	seen := map[int]bool{root: true}
	for next := []int{root}; len(next) > 0; next = next[1:] {
		for _, pid := range children(next[0]) {
			if seen[pid] {
				continue
			}
			seen[pid] = true
			if p, ok := look(pid); ok {
				found = append(found, p)
				next = append(next, pid)
			}
		}
	}
	return found
}

// listed reads the children that each thread of a process has.
func listed(pid int) []int {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	var pids []int
	for _, thread := range names(dir) {
		list, err := os.ReadFile(dir + "/" + thread + "/children")
		if err != nil {
			continue // the thread has ended
		}
		for field := range bytes.FieldsSeq(list) {
			if pid, err := strconv.Atoi(string(field)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// byParent looks at every process once.
func byParent() func(pid int) []int {
	children := map[int][]int{}
	for _, name := range names("/proc") {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := look(pid); ok {
			children[p.parent] = append(children[p.parent], pid)
		}
	}
	return func(pid int) []int { return children[pid] }
}

func names(dir string) []string {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = d.Close() }()
	list, _ := d.Readdirnames(-1) //nolint:errcheck // what was read before an error counts
	return list
}

// look reads one process; false when there is none.
func look(pid int) (proc, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return proc{}, false
	}
	return parseStat(pid, stat)
}

// parseStat reads a line of /proc/PID/stat. The second field is the program's
// name, which may hold anything, so fields are counted from its last
// parenthesis: state, parent, group, session, ..., threads, 0, start.
func parseStat(pid int, stat []byte) (proc, bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return proc{}, false
	}
	f := bytes.Fields(stat[end+1:])
	if len(f) < 20 {
		return proc{}, false
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(string(f[i])) //nolint:errcheck // the kernel writes numbers
		return n
	}
	start, err := strconv.ParseUint(string(f[19]), 10, 64)
	if err != nil {
		return proc{}, false
	}
	// A process whose first thread has ended before the others looks like a
	// zombie too, but has more than one thread.
	dead := f[0][0] == 'X' || f[0][0] == 'Z' && number(17) <= 1
	return proc{pid: pid, parent: number(1), group: number(2), session: number(3), start: start, dead: dead}, true
}

// same says that q is the process p, seen at another time.
func (p proc) same(q proc) bool { return p.pid == q.pid && p.start == q.start }

// signal reaches this very process or nobody: the number is looked at again
// once a pidfd holds whoever it means now.
func (p proc) signal(sig unix.Signal) {
	if p.pid <= 1 {
		return
	}
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	if now, ok := look(p.pid); ok && now.same(p) {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}
