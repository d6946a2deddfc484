package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"curfew/registry"
)

// errStaleRecord: reads of the record stay behind what was already seen of it.
var errStaleRecord = errors.New("the record read is older than one seen before")

// permanent are answers that no further try would change.
//
//nolint:gochecknoglobals // a table
var permanent = []error{
	registry.ErrConflict, registry.ErrUnreadable, registry.ErrNoSession, registry.ErrOver, registry.ErrNoRun, errAgain,
}

// try asks until there is an answer: an unreachable server is asked again, with
// a growing pause, for as long as the lease is good and the worker lives. The
// error is the cause by which ctx ended, or one that is permanent.
func (a *adoption) try(ctx context.Context, what string, op func(context.Context) error, final ...error) error {
	pause := 20 * time.Millisecond
	for warned := false; ; {
		err := a.once(ctx, op)
		if err == nil {
			return nil
		}
		for _, p := range append(final, permanent...) {
			if errors.Is(err, p) {
				return err
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if !warned && pause > 500*time.Millisecond {
			a.log.WithError(err).Warn(what + " failed, trying again")
			warned = true
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		pause = min(2*pause, 2*time.Second)
	}
}

func (a *adoption) once(ctx context.Context, op func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	return op(ctx)
}

// read reads the record, not believing what is older than a revision seen before.
func (a *adoption) read(ctx context.Context) error {
	return a.readFrom(ctx, a.floor)
}

// reread reads a record that is known to have changed since it was last seen.
func (a *adoption) reread(ctx context.Context) error {
	return a.readFrom(ctx, max(a.floor, a.snap.Revision+1))
}

func (a *adoption) readFrom(ctx context.Context, floor uint64) error {
	const patience = 20
	var behind int
	err := a.try(ctx, "read the session's record", func(ctx context.Context) error {
		s, err := a.w.records.Get(ctx, a.session)
		if err != nil {
			return err
		}
		if s.Revision < floor && behind < patience {
			behind++
			return errStaleRecord
		}
		if s.Revision < floor {
			a.log.WithField("revision", s.Revision).WithField("seen", floor).Warn("the record went back: the bucket was made anew or restored")
			a.floor = 0
		}
		a.snap, a.from = s, 0
		a.floor = max(a.floor, s.Revision)
		return nil
	})
	return err
}

// saw takes over a snapshot that was read or written elsewhere in this adoption.
func (a *adoption) saw(s registry.Snapshot) {
	if s.Revision >= a.floor {
		a.snap, a.floor = s, s.Revision
	}
}

// commit writes rec in place of what was last seen. errAgain when the record
// changed meanwhile, or when the answer was lost: it has been read again then.
func (a *adoption) commit(ctx context.Context, rec registry.Record) error {
	if err := a.trusted(ctx); err != nil {
		return err
	}
	opCtx, cancel := context.WithTimeout(ctx, opTimeout)
	s, err := a.w.records.Update(opCtx, a.snap, rec)
	cancel()
	switch {
	case err == nil:
		a.unwritten = 0
		a.saw(s)
		return nil
	case ctx.Err() != nil: // whether it was written shows at the next reading
		return context.Cause(ctx)
	case errors.Is(err, registry.ErrConflict):
		err = a.reread(ctx)
	default:
		a.log.WithError(err).Warn("a write to the record has no answer, reading it again")
		a.rest(ctx)
		err = a.read(ctx)
	}
	if err != nil {
		return err
	}
	return errAgain
}

// rest pauses before a write of the record is tried again, longer each time: a
// bucket that is full, or that may not be written, refuses at once.
func (a *adoption) rest(ctx context.Context) {
	t := time.NewTimer(min(20*time.Millisecond<<min(a.unwritten, 7), 2*time.Second))
	defer t.Stop()
	a.unwritten++
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// trusted answers nil while the lease may be believed. Nothing is sent or
// written after it was lost.
func (a *adoption) trusted(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if a.lease.TrustLeft() <= 0 {
		return errLost
	}
	return nil
}
