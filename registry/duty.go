package registry

import (
	"context"
	"errors"
	"time"
)

// Duty is something that one worker of the fleet does for all, for as long as it
// renews it. Duties only save work: two workers may have one at the same time
// after Redis has lost its memory, or when a worker stood still, so what they do
// must be safe then. One goroutine at a time.
type Duty struct {
	leases *Leases
	ask    Ask
	ttl    time.Duration
}

// TakeDuty asks to be the one that does something; nil when another one does
// it: come back later. A duty that is neither renewed nor given back ends after ttl.
func (l *Leases) TakeDuty(ctx context.Context, name string, ttl time.Duration) (*Duty, error) {
	d := &Duty{leases: l, ask: Ask{Session: "duty-" + name, Token: NewToken()}, ttl: ttl}
	mine, err := d.Renew(ctx)
	if err != nil || !mine {
		return nil, err
	}
	return d, nil
}

// Renew keeps the duty for another ttl; false when it is another one's by now.
// An error says nothing about whose it is. Renew often enough for a few to fail.
func (d *Duty) Renew(ctx context.Context) (mine bool, err error) {
	_, _, err = d.leases.acquire(ctx, d.leases.keys(d.ask.Session), d.ask, d.ttl)
	var held *HeldError
	var unclean *UncleanError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &held), errors.As(err, &unclean), errors.Is(err, ErrTokenUsed):
		return false, nil
	default:
		return false, err
	}
}

// Release gives the duty back, as well as can be: it runs out by itself.
func (d *Duty) Release(ctx context.Context) {
	d.leases.abandon(ctx, d.leases.keys(d.ask.Session), d.ask.Token)
}
