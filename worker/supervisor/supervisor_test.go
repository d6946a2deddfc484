//go:build linux

package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// hostile is what must not outlive anything: so many runs, each with somebody
// in a session of its own, double-forked, without an environment.
func hostile(t *testing.T, f *fixture, n int) []*watched {
	t.Helper()
	var list []*watched
	for i := range n {
		list = append(list, f.run(strconv.Itoa(i), time.Minute, "daemon"))
	}
	for i := range n {
		list = append(list, f.who("daemon", strconv.Itoa(i)))
	}
	return list
}

func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	f := started(t)
	list := hostile(t, f, 20)
	f.worker.signal(unix.SIGKILL)
	t.Log("all gone after", allGone(t, 20*time.Second, list))
	require.Equal(t, 137, f.code())
	require.Contains(t, f.stderr.String(), "the worker was ended by SIGKILL")
}

// What the worker had adopted comes to the supervisor, which finds it there.
func TestWorkerKilledWhileTheSupervisorIsStopped(t *testing.T) {
	t.Parallel()
	f := started(t)
	list := hostile(t, f, 10)
	f.supervisor.signal(unix.SIGSTOP)
	f.worker.signal(unix.SIGKILL)
	require.True(t, f.worker.goneWithin(patience))
	begin := time.Now()
	f.supervisor.signal(unix.SIGCONT)
	require.Equal(t, 137, f.code())
	require.Less(t, time.Since(begin), time.Second)
	allGone(t, 0, list) // it does not end before they have
}

// One look is not enough for what is on its way from one parent to another.
func TestWorkerKilledWithAChain(t *testing.T) {
	t.Parallel()
	f := started(t)
	links := filepath.Join(t.TempDir(), "links")
	f.run("a", time.Minute, "chain "+links)
	count := func() int {
		list, _ := os.ReadFile(links)
		return bytes.Count(list, []byte("\n"))
	}
	require.Eventually(t, func() bool { return count() > 2 }, patience, time.Millisecond)
	f.worker.signal(unix.SIGKILL)
	require.Equal(t, 137, f.code())
	last := count()
	require.Never(t, func() bool { return count() != last }, 300*time.Millisecond, 100*time.Millisecond)
	require.Less(t, last, 300)
}

func TestSupervisorKilled(t *testing.T) {
	t.Parallel()
	f := started(t)
	list := hostile(t, f, 20)
	f.supervisor.signal(unix.SIGKILL)
	t.Log("all gone after", allGone(t, 20*time.Second, list))
	require.True(t, f.worker.goneWithin(lastWords+20*time.Second), "the worker outlived its supervisor")
	f.await("gone")
}

// The worker is stopped when its supervisor dies: it is woken, to clear up.
func TestSupervisorKilledWhileTheWorkerIsStopped(t *testing.T) {
	t.Parallel()
	f := started(t)
	list := hostile(t, f, 3)
	f.worker.signal(unix.SIGSTOP)
	f.supervisor.signal(unix.SIGKILL)
	allGone(t, 20*time.Second, list)
	require.True(t, f.worker.goneWithin(lastWords+20*time.Second))
}

func TestNothingIsOpenedWithoutASupervisor(t *testing.T) {
	t.Parallel()
	f := started(t)
	f.supervisor.signal(unix.SIGKILL)
	f.await("gone")
	f.tell("open late 60000")
	require.Contains(t, f.await("opened late "), ErrGone.Error())
	f.tell("exit 0") // Finish does not hold it up for long
	require.True(t, f.worker.goneWithin(clearTime))
}

func TestBothKilled(t *testing.T) {
	t.Parallel()
	f := started(t)
	direct := []*watched{f.run("a", time.Minute, "daemon"), f.run("b", time.Minute, "sleeper")}
	f.who("daemon", "a") // is for the next worker's start to find; cleaned up by the test
	f.supervisor.signal(unix.SIGKILL)
	f.worker.signal(unix.SIGKILL)
	t.Log("gone after", allGone(t, 20*time.Second, direct))
}

func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	f := started(t)
	const lease = 1500 * time.Millisecond
	list := hostile(t, f, 1)
	f.tell("renew 0 %d", lease.Milliseconds())
	begin := time.Now()
	f.await("renewed 0 ")
	f.worker.signal(unix.SIGSTOP)
	requireAlive(t, list[0], lease-time.Since(begin)-200*time.Millisecond, "killed before its deadline")
	allGone(t, lease-time.Since(begin)+10*time.Second, list)
	t.Log("gone after the deadline:", time.Since(begin)-lease)

	requireAlive(t, f.worker, 50*time.Millisecond, "the worker itself stays")
	f.worker.signal(unix.SIGCONT)
	f.tell("renew 0 60000") // no renewal brings it back, and the worker goes on
	f.await("renewed 0 ")
	f.tell("close 0")
	f.await("closed 0 ")
	f.run("next", time.Minute, "sleeper")
	f.tell("exit 0")
	require.Zero(t, f.code())
}

// It is frozen between its last look at the lease and the fork.
func TestFrozenBeforeTheFork(t *testing.T) {
	t.Parallel()
	f := started(t)
	f.tell("freeze a 100 sleeper")
	f.await("freezing")
	requireAlive(t, f.worker, 300*time.Millisecond, "stopped, not dead")
	f.worker.signal(unix.SIGCONT)
	require.Equal(t, "<nil>", f.await("spawned a "))
	f.tell("end a")
	require.Equal(t, "SIGKILL", f.await("ended a "))
	f.tell("churn 1 true") // the worker is served as before
	require.Equal(t, "1 of 1", f.await("churned "))
}

func TestAStrangerIsKilled(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"never opened": "",
		"closed":       "run a 60000 true\nclose a",
		"expired":      "open a -1",
		"too late":     "open a 1\nchurn 30 true\nrenew a 60000", // the churning takes its time
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := started(t)
			f.run("other", time.Minute, "sleeper") // no sweep does it
			if first != "" {
				f.tell("%s", first)
			}
			f.tell("spawn a sleeper")
			f.tell("end a")
			require.Contains(t, []string{"SIGKILL", "reaped"}, f.await("ended a "))
			f.tell("stray b")
			f.tell("end b")
			require.Contains(t, []string{"SIGKILL", "reaped"}, f.await("ended b "))
		})
	}
}

func TestRenewalKeepsAlive(t *testing.T) {
	t.Parallel()
	f := started(t)
	run := f.run("a", 400*time.Millisecond, "sleeper")
	for range 5 {
		f.tell("renew a 400")
		require.Equal(t, "<nil>", f.await("renewed a "))
		requireAlive(t, run, 200*time.Millisecond, "it was renewed")
	}
	require.True(t, run.goneWithin(20*time.Second), "it is not renewed any more")
}

// A supervisor that was held up itself hears the renewal before it judges.
func TestStoppedSupervisorHearsRenewalsFirst(t *testing.T) {
	t.Parallel()
	f := started(t)
	run := f.run("a", 300*time.Millisecond, "sleeper")
	f.supervisor.signal(unix.SIGSTOP)
	f.tell("renew a 60000")
	f.await("renewed a ")
	requireAlive(t, run, 500*time.Millisecond, "nobody is there to kill it")
	f.supervisor.signal(unix.SIGCONT)
	requireAlive(t, run, 300*time.Millisecond, "it was renewed in time")
}

// One run's end is no business of another's.
func TestOneRunExpires(t *testing.T) {
	t.Parallel()
	f := started(t)
	stays := []*watched{f.run("stays", time.Minute, "daemon"), f.who("daemon", "stays")}
	goes := []*watched{f.run("goes", 60*time.Second, "shell"), f.who("tool", "goes")}
	hidden := []*watched{f.run("hides", 60*time.Second, "daemon"), f.who("daemon", "hides")}
	goes = append(goes, f.run("deep", time.Minute, "deep"), f.who("tool", "deep"), f.who("deep", "deep"))
	f.tell("renew goes 1")
	f.tell("renew deep 1")
	f.tell("renew hides 1")
	allGone(t, 20*time.Second, append(goes, hidden[0]))
	requireAlive(t, stays[0], 300*time.Millisecond, "the neighbour")
	requireAlive(t, stays[1], 0, "the neighbour's daemon")
	requireAlive(t, hidden[1], 0, "nobody knows whose it is while another run is live")
	for _, id := range []string{"goes", "hides", "stays"} {
		f.tell("close %s", id)
		f.await("closed " + id)
	}
	allGone(t, 2*time.Second, append(stays, hidden[1]))
}

func TestNoPidfdCameAlong(t *testing.T) {
	t.Parallel()
	f := started(t)
	f.run("other", time.Minute, "sleeper")
	f.tell("nofd a 300")
	require.True(t, f.who("up", "a").goneWithin(20*time.Second))
}

// What a run left behind and the worker did not find ends once no run is open.
func TestSweepOfLeftovers(t *testing.T) {
	t.Parallel()
	f := started(t)
	f.tell("run a 60000 leaver")
	left := f.who("daemon", "a")
	requireAlive(t, left, 100*time.Millisecond, "the run is open")
	f.tell("close a")
	require.True(t, left.goneWithin(20*time.Second))
	requireAlive(t, f.worker, 100*time.Millisecond, "the worker is no leftover")
}

// Runs that begin while the sweep looks are no leftovers, and the reaper takes
// no run's status.
func TestRunThatEndsAtOnceKeepsItsStatus(t *testing.T) {
	t.Parallel()
	f := started(t)
	f.tell("race a")
	require.Equal(t, "false true 7", f.await("raced "))
}

// A run that was announced while the sweep looked is none of its business.
func TestSweepHearsTheWorkerFirst(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), self, roleSweep).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "swept false\nswept true\n", string(out))
}

func TestManyRuns(t *testing.T) {
	t.Parallel()
	f := started(t)
	for _, script := range []string{"true", "orphaner"} {
		f.tell("churn 300 %s", script)
		require.Equal(t, "300 of 300", f.await("churned "))
	}
	require.Eventually(t, func() bool {
		f.tell("zombies")
		return f.await("zombies ") == "0"
	}, patience, 50*time.Millisecond)
	f.tell("exit 0")
	require.Zero(t, f.code())
}

func TestLastWorkerLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"exit 3", "hangup"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			f := started(t)
			list := hostile(t, f, 2)
			f.tell("%s", end)
			allGone(t, 20*time.Second, append(list, f.worker))
			want := map[string]int{"exit 3": 3, "hangup": 137}
			require.Equal(t, want[end], f.code())
		})
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	type step struct {
		sig  unix.Signal
		want string // the order that comes of it, "" none
	}
	for name, steps := range map[string][]step{
		"TERM, TERM":            {{unix.SIGTERM, "drain"}, {unix.SIGTERM, "hand back"}, {unix.SIGTERM, ""}},
		"INT, TERM":             {{unix.SIGINT, "drain"}, {unix.SIGTERM, "hand back"}},
		"HUP never hurries":     {{unix.SIGTERM, "drain"}, {unix.SIGHUP, ""}, {unix.SIGINT, "hand back"}},
		"HUP drains":            {{unix.SIGHUP, "drain"}, {unix.SIGHUP, ""}},
		"TSTP stops nobody":     {{unix.SIGTSTP, ""}, {unix.SIGTERM, "drain"}},
		"PIPE is not a failure": {{unix.SIGPIPE, ""}, {unix.SIGTERM, "drain"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := begin(t, func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }).ready()
			for _, s := range steps {
				// Both get it, as from a terminal or a service manager.
				require.NoError(t, syscall.Kill(-f.supervisor.pid, s.sig))
				if s.want != "" {
					require.Equal(t, s.want, f.await("order "))
				} else {
					requireAlive(t, f.worker, 50*time.Millisecond, "deaf")
				}
			}
			f.tell("exit 5")
			require.Equal(t, 5, f.code())
			require.NotContains(t, fmt.Sprint(f.rest()), "order")
		})
	}
}

func TestQuitReachesTheWorker(t *testing.T) {
	t.Parallel()
	f := started(t)
	f.supervisor.signal(unix.SIGQUIT)
	require.Equal(t, 2, f.code())
	require.Contains(t, f.stderr.String(), "goroutine")
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 1, 4} {
		f := started(t)
		f.tell("exit %d", code)
		require.Equal(t, code, f.code())
		require.Empty(t, f.stderr.String())
	}
	f := started(t)
	f.worker.signal(unix.SIGSEGV)
	require.Contains(t, []int{2, 139}, f.code()) // Go makes a SIGSEGV from outside a crash of its own
}

func TestPIDOne(t *testing.T) {
	t.Parallel()
	if syscall.Getuid() != 0 {
		t.Skip("a PID namespace takes root")
	}
	f := begin(t, func(cmd *exec.Cmd) {
		cmd.Args[1] = roleInit
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	})
	require.Contains(t, f.await("worker "), "parent 1 supervised true")
	f.tell("churn 200 orphaner")
	require.Equal(t, "200 of 200", f.await("churned "))
	require.Eventually(t, func() bool {
		f.tell("zombies")
		return f.await("zombies ") == "0"
	}, patience, 50*time.Millisecond)
	f.tell("run a 60000 daemon")
	f.await("daemon a ")
	f.supervisor.signal(unix.SIGTERM)
	require.Equal(t, "drain", f.await("order "))
	f.tell("exit 6")
	require.Equal(t, 6, f.code())
}
