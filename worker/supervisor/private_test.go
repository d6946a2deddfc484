//go:build linux

package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const nobody = 65534

// unprivileged starts the supervisor as nobody, where the tests run as root:
// root may read everything.
func unprivileged(t *testing.T) *fixture {
	t.Helper()
	path := copySelf(t)
	return begin(t, func(cmd *exec.Cmd) {
		cmd.Path = path
		cmd.Dir = "/"
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
	}).ready()
}

func TestEnvironmentCannotBeReadBySubprocesses(t *testing.T) {
	t.Parallel()
	f := unprivileged(t)
	other := f.run("other", time.Minute, "sleeper")
	for _, secret := range []*watched{f.supervisor, f.worker} {
		f.tell("run spy%d 60000 spy %d %d", secret.pid, secret.pid, other.pid)
		require.Equal(t, fmt.Sprint(secret.pid), f.await("refused "))
		require.Equal(t, fmt.Sprint(other.pid), f.await("read "), "what the worker starts is not private: its marks can be found")
		require.Equal(t, "0", f.await("ls "), "a subprocess has the supervisor's socket")
	}
}

// Everything else works for a process that may not open its own /proc files.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"worker", "supervisor", "deadline"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			f := unprivileged(t)
			list := hostile(t, f, 2)
			switch end {
			case "worker":
				f.worker.signal(unix.SIGKILL)
				allGone(t, 20*time.Second, list)
				require.Equal(t, 137, f.code())
			case "supervisor":
				f.supervisor.signal(unix.SIGKILL)
				allGone(t, 20*time.Second, list)
			case "deadline":
				f.worker.signal(unix.SIGSTOP)
				f.worker.signal(unix.SIGCONT)
				f.tell("renew 0 1")
				f.tell("renew 1 1")
				allGone(t, 20*time.Second, list)
			}
		})
	}
}

// Pdeathsig is not lost with the privacy.
func TestUnprivilegedBothKilled(t *testing.T) {
	t.Parallel()
	f := unprivileged(t)
	direct := f.run("a", time.Minute, "sleeper")
	f.supervisor.signal(unix.SIGKILL)
	f.worker.signal(unix.SIGKILL)
	require.True(t, direct.goneWithin(20*time.Second))
}

// The socket and the variable stay with the worker, and a variable that was
// copied from somewhere makes nobody a worker.
func TestHandover(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"standard input": "0", "nothing there": "3", "no number": "x"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := begin(t, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, fdVar+"="+value) })
			said := f.await("worker ")
			require.Contains(t, said, fmt.Sprintf("parent %d supervised true var false", f.supervisor.pid))
			f.tell("exit 0")
			require.Zero(t, f.code())
		})
	}
}

// A descriptor that the supervisor was started with is not handed on, and does
// not take the socket's place.
func TestInheritedDescriptors(t *testing.T) {
	t.Parallel()
	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	f := begin(t, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{file, file, file} }).ready()
	f.run("a", time.Minute, "sleeper")
	for _, fd := range []string{"3", "4", "5"} {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", f.worker.pid, fd))
		if err == nil {
			require.NotEqual(t, "/dev/null", target)
		}
	}
}

// The file may be gone by the time that the worker is started: an upgrade.
func TestProgramReplaced(t *testing.T) {
	t.Parallel()
	path := copySelf(t)
	program, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = program.Close() }()
	require.NoError(t, os.Remove(path))
	f := begin(t, func(cmd *exec.Cmd) { cmd.Path, cmd.ExtraFiles = "/proc/self/fd/3", []*os.File{program} }).ready()
	f.run("a", time.Minute, "sleeper")
	f.tell("exit 0")
	require.Zero(t, f.code())
}

// A supervisor of one worker runs for weeks.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may look at what is private")
	}
	f := started(t)
	f.tell("churn 20 true")
	f.await("churned ")
	count := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.supervisor.pid))
		require.NoError(t, err)
		return len(list)
	}
	before := count()
	f.tell("churn 100 true")
	f.await("churned ")
	require.LessOrEqual(t, count(), before+1)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("the race detector has its own memory")
	}
	f := started(t)
	f.tell("churn 200 true")
	f.await("churned ")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.supervisor.pid))
	require.NoError(t, err)
	var rss int
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS:") || strings.HasPrefix(line, "RssAnon:") || strings.HasPrefix(line, "RssFile:") {
			t.Log(strings.TrimSpace(line))
		}
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &rss)
	}
	require.NotZero(t, rss)
	require.LessOrEqual(t, rss, 6<<10)
}
