package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestNumberComesBack: a run is over, and its number is another process': whatever is asked of the stale entry, the
// stranger lives.
func TestNumberComesBack(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("a PID namespace, where numbers can be made to come back, takes root")
	}
	cmd := selfCommand(t, "reused")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.HasSuffix(string(out), "failed: operation not permitted\n") {
		t.Skip("no PID namespace with a /proc of its own to be had here (a container without privileges)")
	}
	require.NoError(t, err, string(out))
	require.Equal(t, "over: lives true\nreaped: lives true\nby number: lives false\n", string(out))
}

// reused is PID 1 of a PID namespace.
func reused([]string) {
	must(unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("proc", "/proc", "proc", 0, ""))

	s := Spec{Path: "/bin/sh", Args: []string{"-c", "exit 0"}, Env: []string{"PATH=/usr/bin:/bin"}}
	p, err := Start(context.Background(), marked(s, "w1", "reused"))
	must(err)
	<-p.Done()
	other := stranger(p.PID())
	p.Stop(errFirst)
	p.Kill(errFirst)
	p.Collect()
	fmt.Println("over: lives", lives(other))
	bury(other)

	// The same for the entry of one that was reaped and whose end nobody has noticed.
	var pidfd int
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setpgid: true, PidFD: &pidfd}})
	must(err)
	l := newLeader(pid, pidfd, groupByFDSupported())
	l.awaitEnd()
	l.reap()
	other = stranger(pid)
	_ = l.signal(syscall.SIGKILL)
	if l.groupByFD {
		_ = l.signalGroup(syscall.SIGKILL) // by number it is not done after the reaping
	}
	l.killLeftovers()
	fmt.Println("reaped: lives", lives(other))

	// It is there to be killed by who trusts a number.
	must(signalNumber(pid, false, syscall.SIGKILL))
	fmt.Println("by number: lives", lives(other))
	bury(other)
}

// stranger is a process that has this very number, and leads the group of that number.
func stranger(number int) int {
	for range 1000 { // the runtime's threads take numbers too
		must(os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(number-1)), 0))
		pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "61"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setpgid: true}})
		must(err)
		if pid == number {
			return pid
		}
		bury(pid)
	}
	fmt.Println("failed: the number does not come back")
	os.Exit(90)
	return 0
}

// lives says whether this child is alive, after a signal had time to reach it.
func lives(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	must(err)
	defer func() { _ = unix.Close(fd) }()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 200)
	return err != nil || n == 0
}

// bury kills and reaps a child.
func bury(pid int) {
	_ = syscall.Kill(pid, syscall.SIGKILL)
	_, _ = syscall.Wait4(pid, nil, 0, nil)
}
