package process

import (
	"context"
	"runtime"
	"sync"
	"syscall"
)

// spawner owns the one thread that makes every subprocess of this worker.
//
// The kernel sends the death signal of a subprocess when the THREAD that made
// it ends, not when the process does. Go ends threads as it likes, so a spawn
// from any goroutine would tie a session's life to a stranger's. One locked
// thread that never ends makes "the thread ended" mean "the worker ended".
type spawner struct {
	requests  chan *request // sent by Start, never closed
	devNull   int           // standard input of those with an empty body; -1 none
	groupByFD bool          // the kernel signals a group through its leader's pidfd
	buffers   buffers
	strict    bool  // what it starts gains no rights (NoNewPrivs)
	broken    error // it cannot; set before the first request
}

// theSpawner is made on first use.
//
//nolint:gochecknoglobals // one thread per process is the point: a second spawner would be a second thread to keep alive
var theSpawner = sync.OnceValue(func() *spawner { return newSpawner(groupByFDSupported()) })

// theStrictSpawner is a second thread: what keeps set-uid programs from gaining
// rights is a thread's, is inherited, and cannot be taken back.
//
//nolint:gochecknoglobals // as theSpawner
var theStrictSpawner = sync.OnceValue(func() *spawner { return startSpawner(groupByFDSupported(), true) })

func newSpawner(groupByFD bool) *spawner { return startSpawner(groupByFD, false) }

func startSpawner(groupByFD, strict bool) *spawner {
	keepDescriptors()
	noCores()
	s := &spawner{requests: make(chan *request), groupByFD: groupByFD, strict: strict}
	fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		fd = -1 // an empty pipe says EOF as well
	}
	s.devNull = fd
	ready := make(chan struct{})
	go s.serve(ready)
	<-ready
	return s
}

// serve never returns, so its thread never ends.
func (s *spawner) serve(ready chan<- struct{}) {
	runtime.LockOSThread()
	if s.strict {
		s.broken = noNewPrivs()
	}
	close(ready)
	for r := range s.requests {
		r.spawn()
		r.done <- struct{}{}
	}
}

// request is one fork. It belongs to the spawner from its sending until done.
type request struct {
	spec  *Spec
	files [3]int
	done  chan struct{} // buffered 1; sent once by the spawner

	cgroup *runCgroup // nil: none
	from   spawnFrom
	pid    int
	pidfd  int
	err    *SpawnError
}

// inCgroup makes the run's cgroup, where it gets one, and has it spawned.
func (s *spawner) inCgroup(ctx context.Context, r *request) *SpawnError {
	if r.spec.Cgroups != nil {
		var err error
		if r.cgroup, err = r.spec.Cgroups.newRun(r.spec.Limits); err != nil {
			return &SpawnError{Kind: kindOfCgroup(err), Path: r.spec.Path, Err: err}
		}
	}
	if err := s.do(ctx, r); err != nil {
		r.cgroup.discard()
		return err
	}
	r.cgroup.started()
	return nil
}

// do hands the request to the thread and waits. A context that ends while the
// request waits for its turn refuses it; once taken, it is seen through.
func (s *spawner) do(ctx context.Context, r *request) *SpawnError {
	r.done = make(chan struct{}, 1)
	if ctx.Err() != nil { // select picks at random where both are ready
		return &SpawnError{Kind: SpawnRefused, Path: r.spec.Path, Err: context.Cause(ctx)}
	}
	select {
	case s.requests <- r:
		<-r.done
		return r.err
	case <-ctx.Done():
		return &SpawnError{Kind: SpawnRefused, Path: r.spec.Path, Err: context.Cause(ctx)}
	}
}

func (r *request) spawn() {
	s := r.spec
	if s.Hooks.BeforeSpawn != nil {
		if err := s.Hooks.BeforeSpawn(r.cgroup.path()); err != nil {
			r.err = &SpawnError{Kind: SpawnRefused, Path: s.Path, Err: err}
			return
		}
	}
	argv := make([]string, 0, 1+len(s.Args))
	argv = append(append(argv, s.Path), s.Args...)
	r.pidfd = -1
	pid, err := theKin().forkExec(r, argv, &syscall.ProcAttr{
		Dir:   s.Dir,
		Env:   s.Env,
		Files: []uintptr{uintptr(r.files[0]), uintptr(r.files[1]), uintptr(r.files[2])}, //nolint:gosec // descriptors are not negative
		Sys:   sysProcAttr(&r.pidfd),
	})
	if err != nil {
		r.err = spawnError(s, err)
		return
	}
	r.pid = pid
}
