//go:build !linux

package integration

// inner is the worker itself: without a supervisor it is what was started.
func (x *worker) inner() int { return x.pid() }
