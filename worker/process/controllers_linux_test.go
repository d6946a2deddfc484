package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// controllersVar says that this process is alone in a cgroup v2 that it may
// divide, with the memory and pids controllers, on a machine that has swap:
// `make vm-test`. These tests move the process and run out of memory, so they are
// not for a machine that somebody works on.
const controllersVar = "CURFEW_TEST_CONTROLLERS"

const mega = 1 << 20

func limitedCgroups(t *testing.T) *Cgroups {
	t.Helper()
	if os.Getenv(controllersVar) == "" {
		t.Skip("this machine's cgroups are not for tests: make vm-test has some of its own")
	}
	c, err := ProbeCgroups(CgroupOptions{Worker: t.Name(), Limits: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.Eventually(t, func() bool { return c.Close() == nil }, patience, time.Millisecond) })
	require.NoError(t, c.Check(Limits{MemoryMax: mega, PidsMax: 1}))
	return c
}

// eat uses so many megabytes, of memory that cannot be had twice.
func eat(args []string) {
	n, _ := strconv.Atoi(args[0])
	all := make([][]byte, n)
	for i := range all {
		all[i] = make([]byte, mega)
		for j := 0; j < mega; j += 4096 {
			all[i][j], all[i][j+1] = byte(i), byte(j>>12)
		}
	}
	fmt.Println("ate", len(all))
}

// A run that wants more than it may have is killed, and not let into swap
// instead; it is known why. One that stays below its limit is left alone.
//
//nolint:paralleltest // memory is what it is about
func TestMemoryMax(t *testing.T) {
	c := limitedCgroups(t)
	swaps, err := os.ReadFile("/proc/swaps")
	require.NoError(t, err)
	require.Greater(t, strings.Count(string(swaps), "\n"), 1, "without swap this shows nothing about it")
	for want, exit := range map[string]struct {
		status string
		oom    OOM
	}{"16": {"code 0", NoOOM}, "200": {"SIGKILL", OOMOwn}} {
		s := child("eat", want)
		s.Cgroups, s.Limits.MemoryMax = c, 64*mega
		p, r := run(t, s)
		e := end(t, p, r)
		require.Equal(t, exit.status, e.String(), "%s MiB", want)
		require.Equal(t, exit.oom, e.OOM, "%s MiB", want)
	}
}

// The agent goes on when only a tool of it was killed, and it is known all the same.
//
//nolint:paralleltest // memory is what it is about
func TestMemoryMaxOfATool(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	p := start(t, Spec{
		Path: "/bin/sh", Args: []string{"-c", childVar + "=eat " + self + " 200 >/dev/null; exit 0"}, Env: []string{"PATH=/usr/bin:/bin"},
		Cgroups: limitedCgroups(t), Limits: Limits{MemoryMax: 64 * mega},
	})
	e := end(t, p, nil)
	require.Equal(t, "code 0", e.String())
	require.Equal(t, OOMOwn, e.OOM)
}

// The same death because somebody else is out of memory, here the cgroup around,
// is not the fault of the run's own limit.
//
//nolint:paralleltest // memory is what it is about
func TestOutOfMemoryAround(t *testing.T) {
	c := limitedCgroups(t)
	require.NoError(t, control(c.dir, "memory.max", strconv.Itoa(64*mega)))
	require.NoError(t, control(c.dir, "memory.swap.max", "0"))
	for _, limit := range []int64{0, 512 * mega} {
		s := child("eat", "200")
		s.Cgroups, s.Limits.MemoryMax = c, limit
		p, r := run(t, s)
		e := end(t, p, r)
		require.Equal(t, "SIGKILL", e.String())
		require.Equal(t, OOMOther, e.OOM, "own limit %d", limit)
	}
}

//nolint:paralleltest // it moves this process
func TestPidsMax(t *testing.T) {
	c := limitedCgroups(t)
	const forty = `i=0; while [ $i -lt 40 ]; do sleep 61 & i=$((i+1)); echo $i; done`
	for limit, all := range map[int64]bool{0: true, 20: false, 60: true} {
		s := Spec{Path: "/bin/sh", Args: []string{"-c", forty}, Env: []string{"PATH=/usr/bin:/bin"}, Cgroups: c, Limits: Limits{PidsMax: limit}}
		p, r := run(t, s)
		e := end(t, p, r)
		require.Equal(t, all, e.Code == 0, "limit %d: %s", limit, e)
		require.Zero(t, e.Alive)
		begun := strings.Count(r.all(), "\n")
		if all {
			require.Equal(t, 40, begun)
		} else {
			require.InDelta(t, limit, begun, 2, "it could start as many as it may have")
		}
	}
}

// Where there are controllers, collecting works as without: what renews itself
// in new sessions, without its environment, is gone with its cgroup.
//
//nolint:paralleltest // it moves this process
func TestChainInLimits(t *testing.T) {
	c := limitedCgroups(t)
	for name, begin := range map[string]string{"chain": "", "cleared chain": "env -i PATH=/usr/bin:/bin"} {
		w := newWitness(t)
		s := w.script(chain(t, begin) + "\nsleep 0.2; exit 0")
		s.Cgroups, s.Limits = c, Limits{MemoryMax: 256 * mega, PidsMax: 100}
		e := requireClean(t, w, start(t, s))
		require.Equal(t, "code 0", e.String(), name)
		require.Positive(t, e.Leftovers, name)
	}
}

// An ordinary user's worker, whose memory nobody may look into, cannot set the
// score in the moment after the exec. That fails no start, and the score comes.
func TestOOMScoreOfAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	out, err := selfCommand(t, "humble", "60").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "started 60, failed 0, without their score 0")
	t.Log(string(out))
}

// humble starts runs as an ordinary user who is not dumpable.
func humble(args []string) {
	n, _ := strconv.Atoi(args[0])
	if os.Getuid() == 0 {
		must(syscall.Setgroups(nil))
		must(syscall.Setgid(54321))
		must(syscall.Setuid(54321))
	}
	must(unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	started, failed, without, late := 0, 0, 0, 0
	for range n {
		p, err := Start(context.Background(), Spec{Path: "/bin/sleep", Args: []string{"600"}})
		if err != nil {
			fmt.Println(err)
			failed++
			continue
		}
		started++
		if !scored(p.PID()) {
			late++
		}
		for stop := time.Now().Add(10 * time.Second); !scored(p.PID()); time.Sleep(time.Millisecond) {
			if time.Now().After(stop) {
				without++
				break
			}
		}
		p.Kill(nil)
		<-p.Done()
	}
	fmt.Printf("started %d, failed %d, without their score %d (not at once: %d)\n", started, failed, without, late)
}

func scored(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "oom_score_adj"))
	return err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(DefaultOOMScore)
}
