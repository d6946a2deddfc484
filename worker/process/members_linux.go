package process

import (
	"bytes"
	"os"
	"strconv"
)

// groupMembers counts the live processes of a group. Zombies do not count:
// they run nothing, and who reaps an orphan is not ours to say.
func groupMembers(pgid int) int {
	proc, err := os.Open("/proc")
	if err != nil {
		return 0
	}
	defer func() { _ = proc.Close() }()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return 0
	}
	count := 0
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // gone meanwhile
		}
		if state, group, ok := parseStat(stat); ok && group == pgid && state != 'Z' && state != 'X' {
			count++
		}
	}
	return count
}

// parseStat reads state and process group from a line of /proc/PID/stat. The
// second field is the program's name, which may contain anything, so fields
// are counted from its last parenthesis.
func parseStat(stat []byte) (state byte, group int, ok bool) {
	_, rest, found := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	fields := bytes.Fields(rest)
	if !found || len(fields) < 3 || len(fields[0]) != 1 {
		return 0, 0, false
	}
	group, err := strconv.Atoi(string(fields[2]))
	return fields[0][0], group, err == nil
}
