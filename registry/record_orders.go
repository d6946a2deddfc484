package registry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Orders are written into the record by whoever gives them; the holder of the
// session reads them there.
var (
	// ErrNoSession says that no record of the session exists.
	ErrNoSession = errors.New("no such session: no job of it has been taken up yet, or its record has been dropped")
	// ErrOver says that the session has expired or was cancelled; that is final.
	ErrOver = errors.New("the session is over")
	// ErrNoRun says that the session has no live run.
	ErrNoRun = errors.New("the session has no live run")
	// ErrTooOld says that a wall clock may not outlive the session's record.
	ErrTooOld = errors.New("the wall clock of a session may not be longer than 7 days")
)

// MaxSessionAge bounds every wall clock: a record is kept for 8 days after its
// last change, and a session must not outlive it.
const MaxSessionAge = 7 * 24 * time.Hour

// errUnchanged ends an order that has nothing to write.
var errUnchanged = errors.New("nothing to change")

// Cancel ends the session for good: its run is stopped, its waiting jobs become
// dead letters. A session without a record gets one, so that a cancel which
// comes before the first job holds too. ErrOver when it has ended already.
func (r *Records) Cancel(ctx context.Context, session, reason string) (Snapshot, error) {
	return r.order(ctx, session, "cancel", func(s Snapshot, now time.Time) (Record, error) {
		rec := s.Record
		if s.Revision == 0 {
			rec.CreatedAt, rec.MaxAgeMS = now, MaxSessionAge.Milliseconds()
		}
		if rec.Tombstone != nil {
			return rec, rec.overError(now)
		}
		rec.Tombstone = &Tombstone{Why: WhyCancelled, Reason: reason, At: now}
		return rec, nil
	})
}

// StopRun asks for the end of the run that is live now; the session stays
// usable. ErrNoRun when none is.
func (r *Records) StopRun(ctx context.Context, session, reason string) (Snapshot, error) {
	return r.order(ctx, session, "stop", func(s Snapshot, now time.Time) (Record, error) {
		rec := s.Record
		switch {
		case s.Revision == 0:
			return rec, ErrNoSession
		case rec.Run == nil:
			return rec, ErrNoRun
		case rec.Stop != nil && rec.Stop.RunKey == rec.Run.RunKey:
			return rec, errUnchanged
		}
		rec.Stop = &StopOrder{RunKey: rec.Run.RunKey, Reason: reason, At: now}
		return rec, nil
	})
}

// Extend moves the session's curfew by the given time, also under a live run.
// ErrOver when the session has expired or was cancelled, ErrTooOld beyond
// MaxSessionAge.
func (r *Records) Extend(ctx context.Context, session string, by time.Duration) (Snapshot, error) {
	return r.order(ctx, session, "extend", func(s Snapshot, now time.Time) (Record, error) {
		rec := s.Record
		if s.Revision == 0 {
			return rec, ErrNoSession
		}
		if err := rec.overError(now); err != nil {
			return rec, err
		}
		if rec.MaxAge()+by > MaxSessionAge {
			return rec, fmt.Errorf("%w: it has %s already", ErrTooOld, rec.MaxAge())
		}
		rec.MaxAgeMS += by.Milliseconds()
		return rec, nil
	})
}

// Replace notes that every job of the session below seq ends as replaced.
// Without a record there is nothing older to replace.
func (r *Records) Replace(ctx context.Context, session string, seq uint64) (Snapshot, error) {
	return r.order(ctx, session, "replace", func(s Snapshot, _ time.Time) (Record, error) {
		rec := s.Record
		if s.Revision == 0 || rec.ReplaceSeq >= seq || rec.Done.Seq >= seq {
			return rec, errUnchanged
		}
		rec.ReplaceSeq = seq
		return rec, nil
	})
}

// overError says how the session ended, nil where it has not.
func (r Record) overError(now time.Time) error {
	switch t := r.Tombstone; {
	case t != nil && t.Why == WhyCancelled:
		return fmt.Errorf("%w: it was cancelled at %s", ErrOver, t.At.UTC().Format(time.RFC3339))
	case r.Over(now):
		return fmt.Errorf("%w: its curfew was at %s", ErrOver, r.Curfew().UTC().Format(time.RFC3339))
	}
	return nil
}

// order writes one order by compare-and-set, reading again as often as others
// write in between, until ctx ends.
func (r *Records) order(ctx context.Context, session, what string, change func(Snapshot, time.Time) (Record, error)) (Snapshot, error) {
	for {
		s, err := r.Get(ctx, session)
		if err != nil {
			return s, fmt.Errorf("%s session %s: %w", what, session, err)
		}
		rec, err := change(s, time.Now().UTC())
		if errors.Is(err, errUnchanged) {
			return s, nil
		}
		if err != nil {
			return s, fmt.Errorf("%s session %s: %w", what, session, err)
		}
		next, err := r.Update(ctx, s, rec)
		if err == nil || !errors.Is(err, ErrConflict) {
			return next, err
		}
		if ctx.Err() != nil {
			return s, fmt.Errorf("%s session %s: %w", what, session, context.Cause(ctx))
		}
	}
}
