package registry

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// BootNow reads the clock. Linux has had CLOCK_BOOTTIME since 2.6.39; without
// it no lease could be trusted, so a failure is the end of the program.
func BootNow() BootTime {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("registry: reading CLOCK_BOOTTIME: %v", err))
	}
	return BootTime(ts.Nano())
}
