package process

import "os"

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
		if st, ok := parseStat(stat); ok && st.group == pgid && !st.over() {
			count++
		}
	}
	return count
}
