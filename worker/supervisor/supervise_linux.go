package supervisor

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitNoWorker is the code where no worker could be started.
const exitNoWorker = 1

// Main is the first thing to do for a command that runs a worker. In a fresh
// process it makes that process the supervisor: it starts this very program
// again, with the same arguments, as the worker, and answers its exit code and
// true when everything is over. In the worker that was so started it answers
// false at once; Connect comes next there. Where this system cannot supervise
// (pidfds are missing: Linux before 5.4, some sandboxes) it says so and answers
// false, and the worker goes on unsupervised.
func Main(o Options) (code int, was bool) {
	if _, err := inherited(); err == nil {
		return 0, false
	}
	say := sayer(o.Err)
	s, err := prepare(say)
	if err != nil {
		say("going on without a supervisor: %v", err)
		return 0, false
	}
	// The worker hears of the end of the THREAD that started it (see start).
	runtime.LockOSThread()
	if err := s.start(); err != nil {
		say("the worker could not be started: %v", err)
		return exitNoWorker, true
	}
	s.memory = newMemory()
	return s.supervise(), true
}

func sayer(w io.Writer) func(string, ...any) {
	if w == nil {
		w = io.Discard
	}
	return func(format string, args ...any) { fmt.Fprintf(w, "curfew: "+format+"\n", args...) }
}

// prepare makes everything that may fail, before anything is started.
func prepare(say func(string, ...any)) (*supervisor, error) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open: %w", err)
	}
	_ = unix.Close(fd)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("adopt orphans (PR_SET_CHILD_SUBREAPER): %w", err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make the socket: %w", err)
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the timer: %w", err), unix.Close(pair[0]), unix.Close(pair[1]))
	}
	signals, err := catch()
	if err != nil {
		return nil, errors.Join(err, unix.Close(timer), unix.Close(pair[0]), unix.Close(pair[1]))
	}
	return &supervisor{
		say: say, sock: pair[0], handed: pair[1], timer: timer, signals: signals,
		tree: newTree(), runs: map[string]*run{}, worker: worker{pidfd: -1},
	}, nil
}

// start runs this program as the worker.
//
// When the supervisor dies the kernel sends the worker SIGCONT, not SIGKILL: it
// has to clear up behind itself first, because what it adopted is out of
// anybody's reach once it is dead. The closed socket tells it so; SIGCONT only
// sees to it that one that was stopped hears it.
func (s *supervisor) start() error {
	// What this process was started with beyond the standard files is not the
	// worker's, and would take the place of the socket.
	_ = unix.CloseRange(handedFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // kernels before 5.11 cannot
	program, err := self()
	if err != nil {
		return err
	}
	pid, err := syscall.ForkExec(program, os.Args, &syscall.ProcAttr{ //nolint:gosec // this very program, as it was called
		Env:   workerEnviron(os.Environ()),
		Files: []uintptr{0, 1, 2, uintptr(s.handed)}, //nolint:gosec // descriptors are not negative
		Sys:   &syscall.SysProcAttr{Pdeathsig: unix.SIGCONT, PidFD: &s.worker.pidfd},
	})
	_ = unix.Close(s.handed) // or the end of the worker would never be heard
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	s.worker.pid = pid
	// Only now: a process that is not dumpable may not open its own /proc files
	// unless it is root.
	return Private()
}

// self is this program: by its name, so that it is listed by it, unless another
// file has that name by now (an upgrade while it runs).
func self() (string, error) {
	const link = "/proc/self/exe"
	name, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	own, err := os.Stat(link)
	if err != nil {
		return name, nil //nolint:nilerr // no /proc: the name has to do
	}
	there, err := os.Stat(name)
	if err == nil && os.SameFile(own, there) {
		return name, nil
	}
	return link, nil //nolint:nilerr // the file is no longer there: the link still leads to it
}

// signalPipe carries signals to poll, a byte each.
type signalPipe struct{ read, write int }

// catch begins to collect the signals. Caught ones go back to their default in
// the worker; an ignored one would stay ignored there and in every agent.
func catch() (signalPipe, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return signalPipe{}, fmt.Errorf("make the pipe of signals: %w", err)
	}
	// SIGPIPE: a log that nobody reads any more must not end the supervisor.
	list := append(deafTo(), unix.SIGQUIT, unix.SIGCHLD, unix.SIGPIPE)
	caught := make(chan os.Signal, 64)
	signal.Notify(caught, list...)
	go func() {
		for sig := range caught {
			if number, ok := sig.(unix.Signal); ok {
				_, _ = unix.Write(p[1], []byte{byte(number)}) //nolint:gosec // there are 64
			}
		}
	}()
	return signalPipe{read: p[0], write: p[1]}, nil
}
