//go:build !linux

package process

import "syscall"

// openPipe is the twin of the Linux one; without pipe2 no fork may happen
// between the making and the marking, which is what ForkLock is for.
func openPipe(ours int) (read, write int, err error) {
	var fds [2]int
	syscall.ForkLock.RLock()
	err = syscall.Pipe(fds[:])
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, -1, err
	}
	if err := syscall.SetNonblock(fds[ours], true); err != nil {
		_ = syscall.Close(fds[0])
		_ = syscall.Close(fds[1])
		return -1, -1, err
	}
	return fds[0], fds[1], nil
}
