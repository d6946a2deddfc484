package supervisor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Private makes this process' memory and environment unreadable for other
// processes of the same user, its own subprocesses foremost: the environment
// holds credentials of NATS and Redis. It lasts until the next exec, so what
// this process starts is not affected. Main and Connect call it; a worker
// without a supervisor may call it itself.
func Private() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make the process private (PR_SET_DUMPABLE): %w", err)
	}
	return nil
}
