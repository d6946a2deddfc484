package supervisor

import (
	"bufio"
	"bytes"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	lookAfter = 2    // wake-ups between two looks at how large the supervisor is; a look takes a microsecond or two
	trimAfter = 1000 // wake-ups after which the heap is given back too; that takes a millisecond
	enough    = 5 << 20
)

// memory gives back what the supervisor does not need. All of the program's
// packages have been initialised in it, and it needs next to none of them, for
// weeks; and what its own work touches adds up, page after page of code that the
// kernel maps around each one that is used.
type memory struct {
	files []mapping
	size  *os.File // /proc/self/statm; nil where there is none
	awake int      // wake-ups so far
}

func newMemory() *memory {
	debug.SetGCPercent(10)
	m := &memory{}
	m.size, _ = os.Open("/proc/self/statm") //nolint:errcheck // nil then
	if smaps, err := os.Open("/proc/self/smaps"); err == nil {
		m.files = fileMappings(bufio.NewScanner(smaps))
		_ = smaps.Close()
	}
	m.trim()
	return m
}

// woken counts a wake-up, and gives something back now and then.
func (m *memory) woken() {
	switch m.awake++; {
	case m.awake%trimAfter == 0:
		m.trim()
	case m.awake%lookAfter == 0 && m.resident() > enough:
		m.drop()
	}
}

// resident is the size of the supervisor in memory; 0 unknown.
func (m *memory) resident() int {
	var b [64]byte
	if m.size == nil {
		return 0
	}
	n, _ := m.size.ReadAt(b[:], 0) //nolint:errcheck // a short read is the usual case
	_, rest, _ := bytes.Cut(b[:n], []byte(" "))
	pages, _, _ := bytes.Cut(rest, []byte(" "))
	count, _ := strconv.Atoi(string(pages)) //nolint:errcheck // the kernel writes numbers
	return count * os.Getpagesize()
}

func (m *memory) trim() {
	debug.FreeOSMemory()
	m.drop()
}

func (m *memory) drop() {
	for _, f := range m.files {
		dropPages(f)
	}
}

// mapping is a range of addresses.
type mapping struct{ from, to uint64 }

// fileMappings picks those that are mere views of a file: not writable, and no
// page of them was ever changed. Dropping their pages loses nothing, they come
// back from the file's cache when they are touched.
func fileMappings(smaps *bufio.Scanner) []mapping {
	var list []mapping
	var last mapping
	for smaps.Scan() {
		f := bytes.Fields(smaps.Bytes())
		switch {
		case len(f) >= 5 && bytes.IndexByte(f[0], '-') > 0: // 00400000-0187d000 r-xp 00000000 fe:00 26 /bin/curfew
			from, to, _ := bytes.Cut(f[0], []byte("-"))
			var errs [2]error
			last.from, errs[0] = strconv.ParseUint(string(from), 16, 64)
			last.to, errs[1] = strconv.ParseUint(string(to), 16, 64)
			if errs[0] != nil || errs[1] != nil || f[1][1] == 'w' || f[1][3] != 'p' || string(f[4]) == "0" {
				last = mapping{}
			}
		case len(f) >= 2 && string(f[0]) == "Anonymous:" && string(f[1]) == "0" && last.to > last.from:
			list = append(list, last)
		}
	}
	return list
}

func dropPages(m mapping) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(m.from), uintptr(m.to-m.from), unix.MADV_DONTNEED)
}
