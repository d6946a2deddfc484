package process

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	environMax = 8 << 20 // bytes of an environment that are looked at
	readStep   = 32 << 10
)

// scanner reads about processes, one after the other, into one buffer.
type scanner struct{ buf []byte }

// read is the whole of a file of /proc, up to max bytes, valid until the next
// read. Empty where there is none or it is not for us.
func (s *scanner) read(path string, most int) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	n := 0
	for n < most {
		if len(s.buf)-n < readStep/2 {
			s.buf = append(s.buf[:n], make([]byte, max(readStep, n))...)
		}
		got, err := unix.Read(fd, s.buf[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || got <= 0 {
			break
		}
		n += got
	}
	return s.buf[:n]
}

// environ is the environment that a process was started with. A program may
// have written over it since.
func (s *scanner) environ(pid int) []byte {
	return s.read("/proc/"+strconv.Itoa(pid)+"/environ", environMax)
}

// limitOf is wornBy for processes that only show it as text.
func (s *scanner) limitOf(pid int) (v uint64, there bool) {
	text := s.read("/proc/"+strconv.Itoa(pid)+"/limits", readStep)
	_, line, found := bytes.Cut(text, []byte("\nMax file locks "))
	if !found {
		return noToken, len(text) > 0
	}
	fields := bytes.Fields(line)
	if len(fields) == 0 {
		return noToken, true
	}
	v, err := strconv.ParseUint(string(fields[0]), 10, 64)
	if err != nil {
		return noToken, true // "unlimited"
	}
	return v, true
}

// everybody calls f with the number of each process, in rising order.
func everybody(f func(pid int)) error {
	proc, err := os.Open("/proc")
	if err != nil {
		return err
	}
	defer func() { _ = proc.Close() }()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			f(pid)
		}
	}
	return nil
}

// stat is part of /proc/PID/stat.
type stat struct {
	state   byte
	parent  int
	group   int
	threads int    // live ones, the first one included until it is reaped
	start   uint64 // clock ticks since boot
}

// over says that nothing of the process runs. A first thread that ended is
// shown as a zombie while others run on.
func (st stat) over() bool {
	return st.state == 'X' || st.state == 'Z' && st.threads <= 1
}

func statOf(pid int) (stat, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	return parseStat(b)
}

// parseStat reads a line of /proc/PID/stat. The second field is the program's
// name, which may contain anything, so fields are counted from its last
// parenthesis.
func parseStat(line []byte) (st stat, ok bool) {
	_, rest, found := bytes.Cut(line[max(0, bytes.LastIndexByte(line, ')')):], []byte(") "))
	fields := bytes.Fields(rest)
	if !found || len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, false
	}
	st.state = fields[0][0]
	for i, to := range map[int]*int{1: &st.parent, 2: &st.group, 17: &st.threads} {
		n, err := strconv.Atoi(string(fields[i]))
		if err != nil {
			return stat{}, false
		}
		*to = n
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	st.start = start
	return st, err == nil
}

// loadavg is /proc/loadavg, kept open because it is read around every run; -1
// where it is not the kernel's: some containers show a file of their own making
// there, which may be old.
//
//nolint:gochecknoglobals // one descriptor for the process
var loadavg = sync.OnceValue(func() int {
	fd, err := unix.Open("/proc/loadavg", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil || int64(fs.Type) != unix.PROC_SUPER_MAGIC { //nolint:unconvert // its width differs between machines
		_ = unix.Close(fd)
		return -1
	}
	return fd
})

// lastPID is the number that a process or thread was given last, 0 unknown.
// While it stays the same nothing was forked.
func lastPID() int {
	fd := loadavg()
	if fd < 0 {
		return 0
	}
	var buf [128]byte
	n, err := unix.Pread(fd, buf[:], 0)
	if err != nil || n <= 0 {
		return 0
	}
	text := bytes.TrimSpace(buf[:n])
	pid, err := strconv.Atoi(string(text[bytes.LastIndexByte(text, ' ')+1:]))
	if err != nil {
		return 0
	}
	return pid
}

// ancestors are this process and those it comes from.
func ancestors() map[int]bool {
	known := map[int]bool{}
	for pid := os.Getpid(); pid > 1 && !known[pid]; {
		known[pid] = true
		st, ok := statOf(pid)
		if !ok {
			break
		}
		pid = st.parent
	}
	return known
}
