//go:build linux

package supervisor

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " 0 0 0 0 0 0 0 0 0 0 0 20 0 " // up to the number of threads
	for name, c := range map[string]struct {
		line string
		want proc
		ok   bool
	}{
		"plain":              {"7 (sh) S 5 6 4" + rest + "1 0 99 1 2", proc{pid: 7, parent: 5, group: 6, session: 4, start: 99}, true},
		"odd name":           {"7 (a) R 1 (b\n) S 5 6 4" + rest + "1 0 99", proc{pid: 7, parent: 5, group: 6, session: 4, start: 99}, true},
		"zombie":             {"7 (sh) Z 5 6 4" + rest + "1 0 99", proc{pid: 7, parent: 5, group: 6, session: 4, start: 99, dead: true}, true},
		"first thread ended": {"7 (sh) Z 5 6 4" + rest + "3 0 99", proc{pid: 7, parent: 5, group: 6, session: 4, start: 99}, true},
		"short":              {"7 (sh) S 5 6 4", proc{}, false},
		"empty":              {"", proc{}, false},
	} {
		got, ok := parseStat(7, []byte(c.line))
		require.Equal(t, c.ok, ok, name)
		require.Equal(t, c.want, got, name)
	}
}

// Both ways of looking find children and theirs.
func TestTree(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "sleep 60 & echo $!; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	grandchild, err := strconv.Atoi(line[:len(line)-1])
	require.NoError(t, err)
	for _, whole := range []bool{false, true} {
		list := (&tree{whole: whole}).under(os.Getpid())
		at := func(pid int) int { return slices.IndexFunc(list, func(p proc) bool { return p.pid == pid }) }
		require.GreaterOrEqual(t, at(cmd.Process.Pid), 0, "whole %t", whole)
		require.Greater(t, at(grandchild), at(cmd.Process.Pid), "whole %t: parents come first", whole)
		p := list[at(grandchild)]
		require.Equal(t, cmd.Process.Pid, p.parent)
		require.Equal(t, cmd.Process.Pid, p.group)
	}
}

// A number that is somebody else's by now gets no signal.
func TestSignalReachesThatVeryProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "/bin/sleep", "60")
	require.NoError(t, cmd.Start())
	p, ok := look(cmd.Process.Pid)
	require.True(t, ok)
	earlier := p
	earlier.start--
	earlier.signal(unix.SIGKILL)
	w := watch(t, p.pid)
	requireAlive(t, w, 50_000_000, "it was meant for an earlier process of that number")
	p.signal(unix.SIGKILL)
	require.True(t, w.goneWithin(patience))
	require.Error(t, cmd.Wait())
}
