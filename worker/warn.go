package worker

import (
	"context"
	"fmt"
	"time"

	"curfew/registry"
)

// warn announces, once for each curfew that the session gets, that nine tenths
// of its wall clock are over. It is looked at while a run is live, so a warning
// is late by one renewal at most. The event comes first and has an id of its
// own: a holder that takes over before it was noted sends a duplicate.
func (a *adoption) warn(ctx context.Context, t *task) error {
	now, age := a.lease.Now(), a.snap.MaxAgeMS
	if at, due := a.snap.WarnAt(); !due || now.Before(at) || a.snap.Over(now) {
		return nil
	}
	e := a.event("warning", t)
	e.Reason = fmt.Sprintf("nine tenths of the session's wall clock of %s are over: it ends at %s (`curfew extend %s 2h` moves that)",
		a.snap.MaxAge(), a.snap.Curfew().UTC().Format(time.RFC3339), a.session)
	err := a.once(ctx, func(ctx context.Context) error {
		if err := a.trusted(ctx); err != nil {
			return err
		}
		return a.w.q.Announce(ctx, fmt.Sprintf("warning:%s:%d", a.session, age), e)
	})
	if err != nil {
		return err
	}
	a.log.WithField("curfew", a.snap.Curfew().UTC().Format(time.RFC3339)).Warn("the session's curfew is near")
	return a.change(ctx, func(rec registry.Record) registry.Record { return rec.Warned(age) })
}
