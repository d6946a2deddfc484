package process

import "golang.org/x/sys/unix"

// openPipe makes a pipe whose end number ours (0 reads, 1 writes) is
// non-blocking; the other stays blocking, as a subprocess expects it.
func openPipe(ours int) (read, write int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, err
	}
	if _, err := unix.FcntlInt(uintptr(fds[ours]), unix.F_SETFL, unix.O_NONBLOCK); err != nil { //nolint:gosec // a descriptor is not negative
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return -1, -1, err
	}
	return fds[0], fds[1], nil
}
