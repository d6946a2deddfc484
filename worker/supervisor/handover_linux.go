package supervisor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fdVar tells a worker which descriptor is its end of the socket.
const fdVar = "CURFEW_SUPERVISOR_FD"

// handedFD is that descriptor: the first after the standard files.
const handedFD = 3

// errUnsupervised means that nobody handed over a socket.
var errUnsupervised = errors.New("this process has no supervisor")

// inherited finds the socket that a supervisor left to this process. What is
// there has to be such a socket: the variable alone may be a copy from
// somewhere, and then the descriptor is anything.
func inherited() (int, error) {
	text, set := os.LookupEnv(fdVar)
	if !set {
		return -1, errUnsupervised
	}
	fd, err := strconv.Atoi(text)
	if err != nil || fd != handedFD {
		return -1, fmt.Errorf("%s=%q: %w", fdVar, text, ErrNotASupervisor)
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_UNIX {
		return -1, fmt.Errorf("%s=%q: %w", fdVar, text, ErrNotASupervisor)
	}
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_SEQPACKET {
		return -1, fmt.Errorf("%s=%q: %w", fdVar, text, ErrNotASupervisor)
	}
	return fd, nil
}

// workerEnviron is the environment of the worker: this one's, and the socket.
func workerEnviron(own []string) []string {
	env := slices.DeleteFunc(slices.Clone(own), func(kv string) bool { return strings.HasPrefix(kv, fdVar+"=") })
	return append(env, fdVar+"="+strconv.Itoa(handedFD))
}
