package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// sweepWait is how long what is killed may take to be gone.
const sweepWait = 5 * time.Second

// SweepReport says what SweepLeftovers did.
type SweepReport struct {
	Dead    int // ids whose worker is not alive, this worker's own included
	Killed  int // processes
	Alive   int // processes that would not go away in time; they are tried again by the next start
	Cgroups int // cgroups of dead workers that were removed
}

// dead is a worker that is known not to be alive, because we hold its lock.
type dead struct {
	id     string
	file   *os.File
	cgroup string
}

// SweepLeftovers kills what dead workers of this host left running: every
// process of theirs that has their marker, or is in their cgroup. Dead are the
// workers whose lock file in the run folder is free, and whoever had this
// worker's own id there before. A worker whose lock is held is alive and nothing of
// it is touched; one that has no lock file there is not known to be dead (it may
// have another run folder) and is left alone as well.
//
// Call it at the start, before the first run. Workers that start at the same
// time share the work.
func SweepLeftovers(ctx context.Context, l *HostLock) (SweepReport, error) {
	entries, err := os.ReadDir(l.runDir)
	if err != nil {
		return SweepReport{}, fmt.Errorf("look for leftovers of dead workers: %w", err)
	}
	gone := []dead{{id: l.id, file: l.file, cgroup: recorded(l.file)}}
	defer func() {
		for _, d := range gone[1:] {
			_ = d.file.Close()
		}
	}()
	for _, e := range entries {
		id, ok := idOf(e.Name())
		if !ok || id == l.id || !e.Type().IsRegular() {
			continue
		}
		if file, err := lockFile(filepath.Join(l.runDir, e.Name()), false); err == nil {
			gone = append(gone, dead{id: id, file: file, cgroup: recorded(file)})
		}
	}
	end := time.Now().Add(sweepWait)
	if by, ok := ctx.Deadline(); ok && by.Before(end) {
		end = by
	}
	r := sweepDead(l.runDir, gone, end)
	r.Dead = len(gone)
	if r.Alive > 0 {
		return r, nil
	}
	var failed error
	for _, d := range gone[1:] { // while they are locked
		failed = errors.Join(failed, os.Remove(d.file.Name()))
	}
	if failed == nil && gone[0].cgroup != "" {
		failed = l.Record("")
	}
	if failed != nil {
		return r, fmt.Errorf("remove lock files of dead workers: %w", failed)
	}
	return r, nil
}
