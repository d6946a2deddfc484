package worker

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"curfew/registry"
)

// exitOf is how a process ended, as records, events and letters say it.
func exitOf(code int, sig syscall.Signal) *registry.Exit {
	if sig != 0 {
		return &registry.Exit{Signal: signalName(sig)}
	}
	return &registry.Exit{Code: &code}
}

func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(sig))
}
