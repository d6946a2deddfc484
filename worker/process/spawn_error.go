package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// SpawnKind says why a subprocess could not be started.
type SpawnKind int

// The kinds of SpawnError.
const (
	SpawnOther     SpawnKind = iota // anything else
	SpawnMissing                    // no such program, or it cannot be executed
	SpawnResources                  // the machine is short of processes, memory, descriptors or space
	SpawnRefused                    // BeforeSpawn or the context said no; nothing was started
)

func (k SpawnKind) String() string {
	switch k {
	case SpawnMissing:
		return "missing"
	case SpawnResources:
		return "resources"
	case SpawnRefused:
		return "refused"
	case SpawnOther:
	}
	return "other"
}

// SpawnError is the error of Start. It wraps its cause.
type SpawnError struct {
	Kind SpawnKind
	Path string
	Err  error
}

func (e *SpawnError) Error() string {
	switch e.Kind {
	case SpawnMissing:
		return fmt.Sprintf("start %s: %v: install the program (or the interpreter its first line names) or correct the agent's command", e.Path, e.Err)
	case SpawnResources:
		return fmt.Sprintf("start %s: %v: this host is out of processes, memory or descriptors; lower worker.concurrency or raise its limits", e.Path, e.Err)
	case SpawnRefused:
		return fmt.Sprintf("start %s: not started: %v", e.Path, e.Err)
	case SpawnOther:
	}
	return fmt.Sprintf("start %s: %v", e.Path, e.Err)
}

func (e *SpawnError) Unwrap() error { return e.Err }

// errRelative is the cause where Path would depend on the working folder.
var errRelative = errors.New("the path is not absolute")

// kindOf sorts the error of a fork or an exec.
func kindOf(err error) SpawnKind {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		switch errno {
		case syscall.ENOENT, syscall.EACCES, syscall.ENOEXEC, syscall.ENOTDIR:
			return SpawnMissing
		case syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ENOSPC:
			return SpawnResources
		}
	}
	return SpawnOther
}

// kindOfCgroup sorts the error of making a run's cgroup: it is not about the
// program.
func kindOfCgroup(err error) SpawnKind {
	if kind := kindOf(err); kind != SpawnMissing {
		return kind
	}
	return SpawnOther
}

// spawnError makes the error of a failed fork or exec. The system reports a bad
// working folder as it reports a bad program, so the folder is looked at: it
// is not the agent's command that is wrong then.
func spawnError(s *Spec, err error) *SpawnError {
	kind := kindOf(err)
	if kind == SpawnMissing && s.Dir != "" {
		if info, statErr := os.Stat(s.Dir); statErr != nil {
			return &SpawnError{Kind: SpawnOther, Path: s.Path, Err: fmt.Errorf("working folder: %w", statErr)}
		} else if !info.IsDir() {
			return &SpawnError{Kind: SpawnOther, Path: s.Path, Err: fmt.Errorf("working folder %s: %w", s.Dir, syscall.ENOTDIR)}
		}
	}
	return &SpawnError{Kind: kind, Path: s.Path, Err: err}
}
