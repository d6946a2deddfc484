package integration

import (
	"bufio"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// memoryOf reads one of the sizes in /proc/PID/status, in KiB; 0 when the process is gone.
func memoryOf(pid int, field string) int {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return n
		}
	}
	return 0
}

// census is what a worker and its supervisor have of this machine.
type census struct {
	WorkerFiles, SupervisorFiles int // descriptors
	Goroutines, Threads          int // of the worker
	Processes, Zombies           int // below the supervisor
	Cgroups                      int // below the worker's, itself included
	Files                        int // in its folders: data, run, temporary
}

func (x *worker) census(t *testing.T, metrics string, folders ...string) census {
	t.Helper()
	count := func(dir string, pid int) int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, dir))
		require.NoError(t, err)
		return len(list)
	}
	inner := x.inner()
	c := census{
		WorkerFiles: count("fd", inner), SupervisorFiles: count("fd", x.pid()), Threads: count("task", inner),
		Goroutines: gauge(t, metrics, "go_goroutines"), Cgroups: foldersIn(x.cgroup()),
	}
	for _, p := range descendantsOf(x.pid()) {
		c.Processes++
		if p.zombie {
			c.Zombies++
		}
	}
	for _, dir := range folders {
		_ = filepath.WalkDir(dir, func(string, fs.DirEntry, error) error { c.Files++; return nil })
	}
	return c
}

// gauge reads one figure of /metrics.
func gauge(t *testing.T, url, name string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			return int(n)
		}
	}
	require.Fail(t, "no such metric", name)
	return 0
}

func foldersIn(dir string) int {
	n := 0
	if dir != "" {
		_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				n++
			}
			return nil
		})
	}
	return n
}

// cgroup is the folder of the worker's cgroup, as its log tells it; "" where it has none.
func (x *worker) cgroup() string {
	_, rest, found := strings.Cut(x.output(), `"cgroup":"`)
	if !found {
		return ""
	}
	dir, _, _ := strings.Cut(rest, `"`)
	return dir
}

type descendant struct {
	pid    int
	zombie bool
}

// descendantsOf are all below a process, the dead that nobody has asked for included.
func descendantsOf(pid int) (all []descendant) {
	for _, child := range childrenOf(pid) {
		all = append(all, descendant{child, !lives(child)})
		all = append(all, descendantsOf(child)...)
	}
	return all
}
