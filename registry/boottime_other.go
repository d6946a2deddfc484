//go:build !linux

package registry

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// BootNow reads the host's monotonic clock, the nearest thing to
// CLOCK_BOOTTIME. On macOS it goes on while the host sleeps; on other systems
// it may stand still, which makes a lease of a worker that slept look younger
// than it is: such hosts must not be put to sleep.
func BootNow() BootTime {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(fmt.Sprintf("registry: reading CLOCK_MONOTONIC: %v", err))
	}
	return BootTime(ts.Nano())
}
