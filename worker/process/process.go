package process

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Process is one subprocess. Its methods may be called from any goroutine, at
// any time.
type Process struct {
	stopSignal syscall.Signal
	grace      time.Duration
	exited     func() // Hooks.Exited, may be nil
	marker     []string
	from       spawnFrom
	cgroup     *runCgroup // nil: none

	leader *leader
	stdin  *feeder // nil when the body fitted into the pipe
	stdout *output
	stderr *output
	work   sync.WaitGroup // the goroutines of stdin, stdout and stderr

	once sync.Once     // held by ends
	done chan struct{} // closed once, by ends
	exit Exit          // written before done is closed, read after

	mu        sync.Mutex
	over      bool        // the end was seen: no signal leaves any more
	intent    error       // why it is stopped; the first one stays
	intentAt  time.Time   // set with intent
	signalled time.Time   // when our first signal left
	climbing  bool        // the ladder has begun
	killTimer *time.Timer // the ladder's last step

	collecting sync.Mutex // held by Collect
	clean      bool       // nothing is left of the run; guarded by collecting, written before done by wait
}

// Start runs the subprocess. The context only bounds the wait for a spawn: it
// does not end the subprocess later, Stop does. The error is a *SpawnError.
func Start(ctx context.Context, s Spec) (*Process, error) {
	if s.Limits.NoNewPrivs {
		return theStrictSpawner().start(ctx, s)
	}
	return theSpawner().start(ctx, s)
}

func (sp *spawner) start(ctx context.Context, s Spec) (*Process, error) {
	if !filepath.IsAbs(s.Path) {
		return nil, &SpawnError{Kind: SpawnMissing, Path: s.Path, Err: errRelative}
	}
	if err := s.Limits.check(s.Cgroups); err != nil {
		return nil, &SpawnError{Kind: SpawnOther, Path: s.Path, Err: err}
	}
	if sp.broken != nil {
		return nil, &SpawnError{Kind: SpawnOther, Path: s.Path, Err: sp.broken}
	}
	pipes, err := sp.openPipes(s.Stdin)
	if err != nil {
		return nil, &SpawnError{Kind: kindOf(err), Path: s.Path, Err: err}
	}
	r := &request{spec: &s, files: pipes.child}
	failed := sp.inCgroup(ctx, r)
	pipes.closeChild(sp.devNull)
	if failed != nil {
		pipes.closeParent()
		return nil, failed
	}
	p := &Process{
		stopSignal: s.StopSignal,
		grace:      s.Grace,
		exited:     s.Hooks.Exited,
		marker:     s.Marker,
		from:       r.from,
		cgroup:     r.cgroup,
		leader:     newLeader(r.pid, r.pidfd, sp.groupByFD),
		stdout:     newOutput(Stdout, pipes.parent[1], s.Sink, &sp.buffers),
		stderr:     newOutput(Stderr, pipes.parent[2], s.Sink, &sp.buffers),
		done:       make(chan struct{}),
	}
	if p.stopSignal == 0 {
		p.stopSignal = syscall.SIGTERM
	}
	if s.Hooks.Spawned != nil {
		s.Hooks.Spawned(r.pid, r.pidfd)
	}
	confined := confine(r.pid, s.Limits)
	p.work.Go(p.stdout.run)
	p.work.Go(p.stderr.run)
	if pipes.parent[0] >= 0 {
		p.stdin = newFeeder(pipes.parent[0], s.Stdin[pipes.fed:])
		p.work.Go(p.stdin.run)
	}
	p.oomScore(s.Limits)
	go p.wait()
	if confined != nil { // it may have begun: it counts as not started
		p.Kill(confined)
		<-p.done
		return nil, &SpawnError{Kind: SpawnOther, Path: s.Path, Err: fmt.Errorf("set its limits: %w", confined)}
	}
	return p, nil
}

// PID is the main process' id, which is also its group's.
func (p *Process) PID() int { return p.leader.pid }

// Done is closed when the main process is reaped, what it left behind is
// collected (see Exit.Alive) and its output is read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how it ended. It waits for Done.
func (p *Process) Exit() Exit {
	<-p.done
	return p.exit
}

// StderrTail is a copy of the last bytes of standard error, 4 KiB at most.
func (p *Process) StderrTail() []byte { return p.stderr.tail.bytes() }

// Dropped counts the bytes that Sink.Line never got because their line was
// longer than 1 MiB.
func (p *Process) Dropped() uint64 {
	return p.stdout.dropped.Load() + p.stderr.dropped.Load()
}

// Cgroup is the folder of the run's own cgroup, "" where it has none. It is gone
// once the run is collected.
func (p *Process) Cgroup() string { return p.cgroup.path() }
