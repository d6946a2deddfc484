package agent

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// stopSignal is a signal that a stop may begin with.
type stopSignal struct {
	name   string
	signal syscall.Signal
}

// stopSignals is the table of them. SIGSTOP and the like are not in it: they
// end nothing.
func stopSignals() []stopSignal {
	return []stopSignal{
		{"TERM", syscall.SIGTERM},
		{"INT", syscall.SIGINT},
		{"HUP", syscall.SIGHUP},
		{"QUIT", syscall.SIGQUIT},
		{"USR1", syscall.SIGUSR1},
		{"USR2", syscall.SIGUSR2},
		{"KILL", syscall.SIGKILL},
	}
}

// ParseSignal reads the name of a stop signal, with or without SIG. The empty
// name is TERM.
func ParseSignal(name string) (syscall.Signal, error) {
	short := strings.TrimPrefix(strings.ToUpper(name), "SIG")
	if short == "" {
		short = "TERM"
	}
	var names []string
	for _, s := range stopSignals() {
		if s.name == short {
			return s.signal, nil
		}
		names = append(names, s.name)
	}
	return 0, fmt.Errorf("%q is no signal to stop with: use one of %s", name, strings.Join(names, ", "))
}

func isStopSignal(sig syscall.Signal) bool {
	return slices.ContainsFunc(stopSignals(), func(s stopSignal) bool { return s.signal == sig })
}
