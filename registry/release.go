package registry

import (
	"context"
	"errors"
	"fmt"
)

// ErrLookAgain says that an adoption is over although somebody knocked: its
// release had to be sent twice, and then the token may not be used any longer.
// The session should be adopted again under a new token.
var ErrLookAgain = errors.New("somebody asked for the session meanwhile: adopt it again under a new token")

var errReleased = errors.New("released or orphaned before")

// Release gives the lease back. It stops renewing first. again: somebody
// knocked since the knocks that Knocks answers were read, the lease is still
// held and renewed on, and the holder should look at the stream again; never
// with force. In every other case the adoption is over, whatever the error:
//
//	nil            released, or found to be another's
//	ErrLookAgain   released, see there
//	Err()          lost before or meanwhile; after a loss nothing is sent
//	*UnavailableError   no answer; the lease runs out by itself
func (x *Lease) Release(ctx context.Context, force bool) (again bool, err error) {
	seen, err := x.leave(ctx)
	if err != nil {
		x.Orphan()
		return false, fmt.Errorf("release: %w", err)
	}
	ans, resent, err := x.leases.release(ctx, x, seen, force)
	x.mu.Lock()
	if err == nil {
		knocked := ans.knock != seen
		x.knock, x.knockSeq = ans.knock, ans.knockSeq
		switch {
		case x.phase == lost:
			err = fmt.Errorf("release: %w", x.err)
		case ans.word == "look" && x.deadline.Left() > 0:
			x.phase, again = held, true
		case ans.word == "look":
			err = fmt.Errorf("release: lease of session %s: %w", x.session, ErrTrustEnded)
		case ans.word == "gone" && resent && knocked && !force:
			err = fmt.Errorf("release: session %s: %w", x.session, ErrLookAgain)
		}
	}
	if !again {
		x.end()
	}
	x.mu.Unlock()
	if !again {
		x.leases.forget(x)
	}
	return again, err
}

// leave takes the lease out of the renewals and waits for the one under way:
// a renewal that arrives after the release would lock the session again. It
// answers the knocks that the holder knows of.
func (x *Lease) leave(ctx context.Context) (seen int64, err error) {
	x.mu.Lock()
	switch x.phase {
	case held:
		x.phase = leaving
	case lost:
		defer x.mu.Unlock()
		return 0, x.err
	case leaving, over:
		defer x.mu.Unlock()
		return 0, fmt.Errorf("lease of session %s: %w", x.session, errReleased)
	}
	asking, seen := x.asking, x.knock
	x.mu.Unlock()
	if asking == nil {
		return seen, nil
	}
	select {
	case <-asking:
		return seen, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for a renewal of session %s to end: %w", x.session, context.Cause(ctx))
	}
}

// release sends the script, and once more if no answer comes. The second time
// it goes by force: the first may arrive late, so the token is used up.
func (l *Leases) release(ctx context.Context, x *Lease, seen int64, force bool) (ans reply, resent bool, err error) {
	force = force || planted(bugKnock)
	send := func(first bool) (reply, error) {
		ctx, cancel := context.WithTimeout(ctx, l.terms.attempt())
		defer cancel()
		forced := "0"
		if force || !first {
			forced = "1"
		}
		args := []any{x.token, seen, forced, leaseKept.Milliseconds()}
		if first {
			node, err := l.redis.node(ctx, x.keys[0])
			if err != nil {
				return reply{}, err
			}
			return parseReply(l.scripts.release.Run(ctx, node, x.keys, args...).Result())
		}
		return parseReply(l.scripts.release.Run(ctx, l.redis.client, x.keys, args...).Result())
	}
	ans, err = send(true)
	if err != nil && (!answered(err) || moved(err)) && ctx.Err() == nil {
		resent = true
		ans, err = send(false)
	}
	if err != nil {
		err = &UnavailableError{l.redis.server, "release the lease of session " + x.session, err}
	}
	return ans, resent, err
}
