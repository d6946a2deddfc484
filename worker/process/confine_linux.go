package process

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// oomScore is added to a subprocess' badness: when memory runs out the kernel
// should take an agent and not the worker that answers for it.
const oomScore = "500"

// confine sets what a subprocess may do to its host: no core dumps, which
// would hold prompts and keys, and first in line when memory runs out. Both
// are a courtesy, so failures (a set-uid program) are not errors.
func confine(pid int) {
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, []byte(oomScore))
	_ = unix.Close(fd)
}
