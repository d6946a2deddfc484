package registry

import "time"

// BootTime is a reading of this host's CLOCK_BOOTTIME in nanoseconds. It goes
// on while the host sleeps, is never set, and means the same to every process
// of one host, so a deadline given in it can be handed to another process.
// Zero is long past.
type BootTime int64

// Add answers t moved by d.
func (t BootTime) Add(d time.Duration) BootTime { return t + BootTime(d) }

// Sub answers how long u was before t.
func (t BootTime) Sub(u BootTime) time.Duration { return time.Duration(t - u) }

// Left answers how long it is until t; zero or less when t has passed.
func (t BootTime) Left() time.Duration { return t.Sub(BootNow()) }
