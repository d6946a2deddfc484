package registry

import (
	"context"
	"errors"
	"time"
)

// Duty asks to be the one worker of the fleet that does something, for ttl at
// most: it is not renewed, so ttl must outlast the work. ok false: another one
// does it, come back later. release gives the duty back and is never nil.
// Duties only save work: two workers may do one at the same time after Redis
// has lost its memory, so what they do must be safe then.
func (l *Leases) Duty(ctx context.Context, name string, ttl time.Duration) (ok bool, release func(context.Context), err error) {
	nothing := func(context.Context) {}
	a := Ask{Session: "duty-" + name, Token: NewToken()}
	keys := l.keys(a.Session)
	_, _, err = l.acquire(ctx, keys, a, ttl)
	var held *HeldError
	var unclean *UncleanError
	switch {
	case errors.As(err, &held), errors.As(err, &unclean):
		return false, nothing, nil
	case err != nil:
		return false, nothing, err
	}
	return true, func(ctx context.Context) { l.abandon(ctx, keys, a.Token) }, nil
}
