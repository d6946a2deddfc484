package supervisor

import (
	"bufio"
	"bytes"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// shrink gives back what the start of the program took. All of the program's
// packages have been initialised here, and a supervisor needs next to none of
// them, for weeks.
func shrink() {
	debug.SetGCPercent(10)
	debug.FreeOSMemory()
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = smaps.Close() }()
	for _, m := range fileMappings(bufio.NewScanner(smaps)) {
		dropPages(m)
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
