package process

import (
	"math"

	"golang.org/x/sys/unix"
)

// keepDescriptors marks every descriptor that the worker itself was started
// with, its standard files aside, as not to be handed on: whoever started it
// may have left some open. Those that Go opens later are marked from birth.
func keepDescriptors() {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // kernels before 5.11 cannot
}
