package process

import (
	"errors"
	"syscall"
)

// reapNumber waits for one child by number: never for any child, which would
// take the status of somebody else's.
func reapNumber(pid int) (syscall.WaitStatus, bool) {
	var status syscall.WaitStatus
	for {
		got, err := syscall.Wait4(pid, &status, 0, nil)
		if !errors.Is(err, syscall.EINTR) {
			return status, err == nil && got == pid
		}
	}
}
