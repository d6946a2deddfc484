package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const clockTick = time.Second / 100 // of /proc: USER_HZ is 100 on every Linux that Go runs on

// cpuOf is the CPU time of these processes and the children they have waited for, and of their live descendants. nil means
// this process. Where there is no /proc it is 0.
func cpuOf(pids []int) time.Duration {
	if pids == nil {
		var self, children syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self)
		_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
		return time.Duration(self.Utime.Nano() + self.Stime.Nano() + children.Utime.Nano() + children.Stime.Nano())
	}
	var sum time.Duration
	for _, pid := range pids {
		sum += statCPU(pid)
		sum += cpuOfChildren(pid)
	}
	return sum
}

func cpuOfChildren(pid int) time.Duration {
	lists, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	var sum time.Duration
	for _, task := range lists {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for field := range strings.FieldsSeq(string(data)) {
			if child, err := strconv.Atoi(field); err == nil {
				sum += statCPU(child) + cpuOfChildren(child)
			}
		}
	}
	return sum
}

// statCPU adds utime, stime, cutime and cstime.
func statCPU(pid int) time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	const utime = 11 // of what follows the name
	var ticks int64
	for i := utime; i < utime+4 && i < len(fields); i++ {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}
