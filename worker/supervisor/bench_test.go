//go:build linux

package supervisor

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkRun is what a run costs the worker beyond its spawn: announced, handed
// over, closed. The other end only reads.
func BenchmarkRun(b *testing.B) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(b, err)
	c := &Client{file: os.NewFile(uintptr(pair[0]), "socket"), reaped: make(chan struct{}, 1), runs: map[string]int{}}
	c.conn, err = c.file.SyscallConn()
	require.NoError(b, err)
	s := &supervisor{say: sayer(nil), sock: pair[1], runs: map[string]*run{}}
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	require.NoError(b, err)
	b.Cleanup(func() { _ = c.file.Close(); _ = unix.Close(pair[1]); _ = unix.Close(pidfd) })
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Open("token/17", bootNow()+1e12)
		_ = c.Spawned("token/17", 0, pidfd)
		_ = c.Close("token/17")
		s.hearWorker()
	}
}
