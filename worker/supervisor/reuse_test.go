//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// roleReuse is TestNumberComesBack's program, PID 1 of a PID namespace.
const roleReuse = "role:reuse"

// A run has ended and the worker stands still before it could close it; its
// number is another's by the time that its deadline passes.
func TestNumberComesBack(t *testing.T) {
	t.Parallel()
	if syscall.Getuid() != 0 {
		t.Skip("a PID namespace takes root")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, roleReuse)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.HasPrefix(string(out), "no ") {
		t.Skip("no PID namespace with a /proc of its own to be had here (a container without privileges)")
	}
	require.NoError(t, err, string(out))
	require.Equal(t, "the stranger lives: true\nby its number: false\n", string(out))
}

func reuseNumber() {
	if !mountProc() {
		return
	}
	pidfd := -1
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setpgid: true, PidFD: &pidfd}})
	if err != nil {
		fmt.Println("fork:", err)
		return
	}
	_, _ = syscall.Wait4(pid, nil, 0, nil)
	fd := takeNumber(pid)
	if fd < 0 {
		fmt.Println("the number does not come back")
		return
	}
	s := &supervisor{say: sayer(os.Stdout), sock: -1, tree: newTree(), runs: map[string]*run{}, worker: worker{pidfd: -1}}
	r := &run{deadline: 1, pid: pid, pidfd: pidfd}
	s.runs["a"] = r
	s.runs["b"] = &run{deadline: 1 << 62, pidfd: -1} // no sweep
	s.expire(bootNow())
	for range 5 {
		s.strike(time.Now())
	}
	lives := func() bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, _ := unix.Poll(fds, 200)
		return n == 0
	}
	fmt.Println("the stranger lives:", lives())
	_ = syscall.Kill(pid, syscall.SIGKILL) // who trusts the number reaches it
	fmt.Println("by its number:", lives())
}

// takeNumber starts a process that has this number and leads the group of that
// number, and answers its pidfd.
func takeNumber(number int) int {
	for range 1000 { // the runtime's threads take numbers too
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(number-1)), 0); err != nil {
			fmt.Println(err)
			return -1
		}
		fd := -1
		pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "60"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setpgid: true, PidFD: &fd}})
		if err == nil && pid == number {
			return fd
		}
		if err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			_, _ = syscall.Wait4(pid, nil, 0, nil)
			_ = unix.Close(fd)
		}
	}
	return -1
}
