package process

import (
	"syscall"
	"time"
)

// Spec says what to run and how to stop it. Start keeps it; it must not be
// changed afterwards.
type Spec struct {
	Path       string         // absolute path of the program, see LookPath
	Args       []string       // argv[1:]; argv[0] is Path
	Env        []string       // the whole environment, "NAME=value"; nil is an empty one
	Dir        string         // working folder; "" is the worker's own
	Stdin      []byte         // written to standard input, then EOF; not copied
	StopSignal syscall.Signal // first step of the stop ladder; 0 means SIGTERM
	Grace      time.Duration  // from the stop signal to SIGKILL; 0 or less: at once
	Sink       Sink           // gets the output; nil drops it
	Hooks      Hooks

	// Marker are entries of Env that no other run has, all together, and that
	// its processes inherit: CURFEW_WORKER=id among them, by which a later worker
	// finds what a dead one left. Empty: what leaves the group is not found,
	// except by Cgroups.
	Marker []string
	// RunDir is the worker's run folder (HostLock.Dir): a worker of the same id
	// that has another one is not taken for its successor.
	RunDir  string
	Cgroups *Cgroups // gives the run a cgroup of its own; nil: none
	Limits  Limits
}

// Stream names one of the two outputs of a subprocess.
type Stream string

// The two outputs.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Sink receives what a subprocess prints, twice: as it came (Chunk) and cut
// into lines (Line). Calls for one stream never overlap; calls for different
// streams may. A call that blocks holds up the subprocess once its pipe is
// full. The bytes are valid only during the call.
type Sink interface {
	// Chunk gets every byte of a stream, in order. Offset is the place of b[0]
	// in its stream. A chunk is handed on when it reaches 64 KiB, 100 ms after
	// its first byte, or at the end of the stream.
	Chunk(stream Stream, offset uint64, b []byte)
	// Line gets each line as soon as it is complete, without its newline. The
	// last one may have had none. A line longer than 1 MiB is handed on as its
	// first MiB with cut set; the rest of it is counted (see Process.Dropped).
	Line(stream Stream, b []byte, cut bool)
}

// Hooks are called around the life of a subprocess; any may be nil. None may
// block for long.
type Hooks struct {
	// BeforeSpawn is the last check, on the spawner's thread right before the
	// fork. It is given the folder of the run's cgroup, "" where it has none. An
	// error means that nothing is started (SpawnRefused).
	BeforeSpawn func(cgroup string) error
	// Spawned is called once, before Start returns. The pidfd is -1 where the
	// system has none; it stays open until Exited has returned and is
	// non-blocking.
	Spawned func(pid, pidfd int)
	// Exited is called once, when the main process is reaped and its group
	// collected, right before Done is closed.
	Exited func()
}
