package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	leafName    = "curfew-worker" // where worker and supervisor live when controllers are handed on
	cgroupBegin = "curfew-"       // of a worker's cgroup; its escaped id and a random part follow
	runBegin    = "run-"          // of a run's cgroup
)

// Cgroups makes one cgroup per run, below one of this worker:
//
//	<own cgroup>/curfew-worker            worker, supervisor (only with controllers)
//	<own cgroup>/curfew-<id>-<random>/run-1, run-2, ...
//
// A nil *Cgroups makes none. Its methods may be called from any goroutine.
type Cgroups struct {
	dir         string
	controllers map[string]error // asked for -> handed on to runs (nil), or why not
	last        atomic.Uint64
}

// ProbeCgroups looks once, at the start, whether runs can have cgroups of their
// own, by starting something in one. The error is ErrNoCgroups with its cause;
// workers then do without.
func ProbeCgroups(o CgroupOptions) (*Cgroups, error) {
	own, err := ownCgroup("/proc/self/cgroup", "/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCgroups, err)
	}
	var want []string
	if o.Limits {
		want = []string{"memory", "pids"}
	}
	c, err := probeIn(own, o, want)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCgroups, err)
	}
	return c, nil
}

func probeIn(own string, o CgroupOptions, want []string) (_ *Cgroups, err error) {
	if filepath.Base(own) == leafName {
		own = filepath.Dir(own) // moved there before, or by DelegateSubgroup=
	}
	dir, err := os.MkdirTemp(own, cgroupBegin+url.PathEscape(o.Worker)+"-")
	if err != nil {
		return nil, err
	}
	c := &Cgroups{dir: dir}
	defer func() {
		if err != nil {
			_ = os.Remove(dir)
		}
	}()
	if len(want) > 0 {
		c.controllers = handOn(own, dir, want, append([]int{os.Getpid()}, o.Along...))
	}
	g, err := c.newRun(Limits{})
	if err != nil {
		return nil, err
	}
	defer g.discard()
	if _, err := os.Stat(filepath.Join(g.dir, "cgroup.kill")); err != nil {
		return nil, fmt.Errorf("this kernel cannot kill a cgroup: %w", err)
	}
	// The fork succeeds, in the cgroup, or not; there is nothing to execute.
	nothing := filepath.Join(g.dir, "none")
	_, err = syscall.ForkExec(nothing, []string{nothing}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.fd}})
	if !errors.Is(err, syscall.ENOENT) {
		return nil, fmt.Errorf("start a process in a cgroup: %w", err)
	}
	return c, nil
}

// ownCgroup finds the folder of this process' own cgroup.
func ownCgroup(membership, mounts string) (string, error) {
	text, err := os.ReadFile(membership)
	if err != nil {
		return "", err
	}
	path := ""
	for line := range strings.SplitSeq(string(text), "\n") {
		if p, ok := strings.CutPrefix(line, "0::"); ok {
			path = p
		}
	}
	if path == "" || strings.HasPrefix(path, "/..") {
		return "", errors.New("this process is in none that it can see")
	}
	file, err := os.Open(mounts)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// ID parent device root point options [more...] - type source options
		before, after, found := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if !found || !strings.HasPrefix(after, "cgroup2 ") || len(fields) < 6 {
			continue
		}
		rest, below := strings.CutPrefix(path, strings.TrimSuffix(unescape(fields[3]), "/"))
		if below && (rest == "" || rest[0] == '/') && !slices.Contains(strings.Split(fields[5], ","), "ro") {
			return filepath.Join(unescape(fields[4]), rest), nil
		}
	}
	return "", errors.New("it is mounted nowhere, or read-only")
}

// unescape undoes the octal numbers that stand for blanks in mountinfo.
func unescape(s string) string {
	for _, pair := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, pair[0], pair[1])
	}
	return s
}

// handOn hands controllers on to the runs' cgroups, as many as it can, and
// answers why not where it cannot. The processes move into a leaf where that
// is in the way.
func handOn(own, dir string, want []string, movers []int) map[string]error {
	have := make(map[string]error, len(want))
	for _, name := range want {
		err := control(own, "cgroup.subtree_control", "+"+name)
		if errors.Is(err, syscall.EBUSY) {
			if err = move(own, movers); err == nil {
				err = control(own, "cgroup.subtree_control", "+"+name)
			}
			if errors.Is(err, syscall.EBUSY) {
				err = fmt.Errorf("%s has processes that are not this worker's: %w", own, err)
			}
		}
		if err == nil {
			err = control(dir, "cgroup.subtree_control", "+"+name)
		}
		if errors.Is(err, syscall.ENOENT) {
			err = fmt.Errorf("%s does not have the %s controller: %w", own, name, err)
		}
		have[name] = err
	}
	return have
}

func move(own string, movers []int) error {
	leaf := filepath.Join(own, leafName)
	if err := os.Mkdir(leaf, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	for _, pid := range movers {
		if err := control(leaf, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

// control writes one of a cgroup's files.
func control(dir, file, text string) error {
	fd, err := unix.Open(filepath.Join(dir, file), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return fmt.Errorf("write %q to %s: %w", text, file, err)
	}
	return nil
}

// Path is the worker's cgroup, for HostLock.Record; "" for nil.
func (c *Cgroups) Path() string {
	if c == nil {
		return ""
	}
	return c.dir
}

// Check says whether runs can be given these limits: a *LimitError or nil.
func (c *Cgroups) Check(l Limits) error {
	for _, need := range []struct {
		limit, controller string
		n                 int64
	}{{"memory_max", "memory", l.MemoryMax}, {"pids_max", "pids", l.PidsMax}} {
		if need.n == 0 {
			continue
		}
		if c == nil {
			return &LimitError{need.limit, ErrNoCgroups}
		}
		why, asked := c.controllers[need.controller]
		if !asked {
			why = ErrNoCgroups
		}
		if why != nil {
			return &LimitError{need.limit, why}
		}
	}
	return nil
}

// has says whether runs have the controller.
func (c *Cgroups) has(controller string) bool {
	why, asked := c.controllers[controller]
	return asked && why == nil
}

// Close removes the worker's cgroup. Call it when every run is over: it stays,
// with an error, while one has processes.
func (c *Cgroups) Close() error {
	if c == nil {
		return nil
	}
	if err := removeCgroup(c.dir); err != nil {
		return fmt.Errorf("remove the worker's cgroup: %w", err)
	}
	return nil
}

// newRun makes a fresh cgroup: one that was killed kills later ones at birth.
func (c *Cgroups) newRun(l Limits) (*runCgroup, error) {
	dir := filepath.Join(c.dir, runBegin+strconv.FormatUint(c.last.Add(1), 10))
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, syscall.ENOENT) { // somebody tidied up while nothing ran
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("make the run's cgroup: %w", err)
	}
	g := &runCgroup{dir: dir, fd: -1, memory: c.has("memory"), limited: l.MemoryMax > 0}
	if err := g.limit(l); err != nil {
		g.discard()
		return nil, err
	}
	if g.fd, err = unix.Open(dir, unix.O_DIRECTORY|unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		g.discard()
		return nil, fmt.Errorf("open the run's cgroup: %w", err)
	}
	return g, nil
}

// eventCount reads one line of memory.events.
func eventCount(events []byte, name string) int {
	for line := range bytes.SplitSeq(events, []byte{'\n'}) {
		if n, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			count, _ := strconv.Atoi(string(n))
			return count
		}
	}
	return 0
}
