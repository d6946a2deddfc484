package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"curfew/registry"
)

const (
	// workKept is how long a work folder stays after the end of its session.
	workKept = 24 * time.Hour
	// tidyMost is how many records a round asks for, and how many folders it
	// may remove: the next one goes on.
	tidyMost = 5000
)

// tidyRounds removes work folders that nobody needs any more, until ctx ends.
func (w *Worker) tidyRounds(ctx context.Context) {
	if w.cfg.TidyEvery == 0 {
		return
	}
	tick := time.NewTicker(w.cfg.TidyEvery)
	defer tick.Stop()
	var from string
	for {
		removed, next, err := w.tidy(ctx, from, time.Now())
		from = next
		if err != nil && ctx.Err() == nil {
			w.log.WithError(err).Warn("a round of tidying work folders ended early; the next one goes on")
		}
		if removed > 0 {
			w.observe.WorkFoldersRemoved(removed)
			w.log.WithField("removed", removed).Info("removed work folders of sessions that ended a day ago or earlier")
		}
		select {
		case <-ctx.Done():
			return
		case <-w.draining:
			return
		case <-tick.C:
		}
	}
}

// tidy is one round, over the folders after the name from; it answers the from
// of the next one. Workers that share the folder may do it at once: a session
// that is over stays over, whoever asks.
func (w *Worker) tidy(ctx context.Context, from string, now time.Time) (removed int, next string, err error) {
	all := filepath.Join(w.cfg.Data, sessionsFolder)
	entries, err := os.ReadDir(all) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", nil
	}
	if err != nil {
		return 0, from, fmt.Errorf("list the work folders: %w", err)
	}
	var errs []error
	asked := 0
	for _, e := range entries {
		session := e.Name()
		if id, err := uuid.Parse(session); session <= from || err != nil || id.String() != session {
			continue // what is not ours is left alone
		}
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		if age := now.Sub(info.ModTime()); age >= 0 && age < workKept {
			continue // used within the day: it cannot have ended before
		}
		if asked++; asked > tidyMost {
			return removed, next, errors.Join(errs...)
		}
		next = session
		over, err := w.workIsOver(ctx, session, info.ModTime(), now)
		if err != nil {
			return removed, from, errors.Join(append(errs, err)...)
		}
		if !over {
			continue
		}
		if err := removeTree(all, session); err != nil {
			errs = append(errs, fmt.Errorf("remove the work folder of %s: %w", session, err))
			continue
		}
		removed++
	}
	return removed, "", errors.Join(errs...)
}

// workIsOver says whether a session ended so long ago that its folder goes.
func (w *Worker) workIsOver(ctx context.Context, session string, used, now time.Time) (bool, error) {
	if _, live := w.table.BySession(session); live {
		return false, nil
	}
	bounded, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	snap, err := w.records.Get(bounded, session)
	if errors.Is(err, registry.ErrUnreadable) {
		return false, nil // whoever wrote it knows
	}
	if err != nil {
		return false, err
	}
	end, ended := sessionEnd(snap, used, now)
	return ended && now.Sub(end) > workKept, nil
}

// sessionEnd is when a session ended, if it has. An expired one that nobody has
// ended yet, because nobody was there to sweep, ended at its curfew or with its
// record's last change. One without a record ended at the latest when the
// longest wall clock that could have begun when its folder was used was over:
// records outlive sessions, so this one was forgotten, or belongs to another
// fleet that shares the folder.
func sessionEnd(s registry.Snapshot, used, now time.Time) (time.Time, bool) {
	switch {
	case s.Revision == 0:
		return used.Add(registry.MaxSessionAge), true
	case s.Run != nil:
		return time.Time{}, false // live, or to be taken up by somebody first
	case s.Tombstone != nil:
		return s.Tombstone.At, true
	case s.Expired(now):
		return later(s.Curfew(), s.Changed), true
	default:
		return time.Time{}, false
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
