package registry

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keepsThrough checks that a holder that reaches Redis keeps its session while
// others ask for it, whatever accident befalls the memory of Redis.
func keepsThrough(t *testing.T, s *server, accident func(l *Leases)) {
	t.Helper()
	terms := Terms{TTL: 4 * time.Second, Renew: 200 * time.Millisecond, Margin: time.Second}
	l := running(t, s.leases(t, terms))
	x := grant(t, l, ask(newSession()))
	x.SetRunOpen(true)
	other := s.leases(t, terms)
	accident(l)
	a := ask(x.Session())
	a.Open = x.Token()
	require.Eventually(t, func() bool {
		got, err := other.Acquire(t.Context(), a)
		if err == nil {
			got.Orphan()
			t.Error("a second holder was granted the session")
			return true
		}
		return lock(t, other, x.Session()) == x.Token()
	}, 60*time.Second, 10*time.Millisecond)
	refusedHeld(t, other, a)
	require.False(t, isClosed(x.Lost()))
	require.NotContains(t, leaseHash(t, other, x.Session()), "missing_since")
	require.Positive(t, x.TrustLeft())
}

// freesAfter checks that the session of a holder that is cut off from Redis is
// granted to no other before that holder has stopped trusting its lease.
func freesAfter(t *testing.T, s *server, accident func(l *Leases)) {
	t.Helper()
	l := s.leases(t, brief) // nobody renews
	x := grant(t, l, ask(newSession()))
	accident(l)
	from := BootNow()
	a := ask(x.Session())
	a.Open = x.Token()
	refusedUnclean(t, l, a)
	y := grantedLater(t, l, a)
	require.True(t, isClosed(x.Lost()))
	require.GreaterOrEqual(t, BootNow().Sub(from), brief.TTL-2*time.Millisecond)
	require.Equal(t, y.Token(), lock(t, l, x.Session()))
}

func flushLive(t *testing.T, s *server) {
	keepsThrough(t, s, func(l *Leases) { flush(t, l) })
}

func flushCutOff(t *testing.T, s *server) {
	freesAfter(t, s, func(l *Leases) { flush(t, l) })
}

func restartLive(t *testing.T, s *server) {
	keepsThrough(t, s, func(*Leases) { s.restart(t) })
}

func restartCutOff(t *testing.T, s *server) {
	freesAfter(t, s, func(*Leases) { s.restart(t) })
}

// through connects by way of a proxy.
func through(t *testing.T, s *server, terms Terms) (*Leases, *proxy) {
	t.Helper()
	p := startProxy(t, s.addr)
	return NewLeases(s.connect(t, p.addr), "test", terms, quietLog()), p
}

func acquireReplyLost(t *testing.T, s *server) {
	l, p := through(t, s, steady)
	direct := s.leases(t, steady)
	session := newSession()
	grant(t, l, ask(newSession())) // the script is known
	p.lose.Store(1)
	x := grant(t, l, ask(session))
	require.Equal(t, x.Token(), lock(t, direct, session))

	gone := ask(newSession())
	p.lose.Store(acquireAttempts) // the grant never arrives, the attempt to give it back does
	_, err := l.Acquire(t.Context(), gone)
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.NotContains(t, err.Error(), "redis://")
	require.Equal(t, gone.Token, leaseHash(t, direct, gone.Session)["token"], "it was granted")
	require.Empty(t, lock(t, direct, gone.Session), "a lease that nobody knows of was given back")
	require.Equal(t, 2, l.Count(), "the two that were granted")
}

func releaseReplyLost(t *testing.T, s *server) {
	l, p := through(t, s, steady)
	direct := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	y := grant(t, l, ask(newSession()))
	_, err := y.Release(t.Context(), false) // the script is known
	require.NoError(t, err)
	p.lose.Store(1)
	again, err := x.Release(t.Context(), false)
	require.NoError(t, err)
	require.False(t, again)
	require.Empty(t, lock(t, direct, x.Session()))
	require.Zero(t, l.Count())
}

func releaseReplyLostKnocked(t *testing.T, s *server) {
	l, p := through(t, s, steady)
	direct := s.leases(t, steady)
	y := grant(t, l, ask(newSession()))
	_, err := y.Release(t.Context(), false)
	require.NoError(t, err)

	x := grant(t, l, ask(newSession()))
	refusedHeld(t, direct, ask(x.Session()))
	p.lose.Store(1) // "look again" is lost
	again, err := x.Release(t.Context(), false)
	require.ErrorIs(t, err, ErrLookAgain)
	require.False(t, again, "sent twice: the adoption is over whatever was answered")
	require.Empty(t, lock(t, direct, x.Session()))
	grant(t, direct, ask(x.Session()))
}

func releaseUnanswered(t *testing.T, s *server) {
	l, p := through(t, s, steady)
	x := grant(t, l, ask(newSession()))
	p.silence()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	again, err := x.Release(ctx, false)
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.False(t, again)
	require.Zero(t, x.Deadline())
	require.Zero(t, l.Count(), "it is not renewed any more")
}

func lossAtTrustEnd(t *testing.T, s *server) {
	l, p := through(t, s, Terms{TTL: 3 * time.Second, Renew: 200 * time.Millisecond, Margin: 500 * time.Millisecond})
	running(t, l)
	x := grant(t, l, ask(newSession()))
	y := grant(t, l, ask(newSession()))
	y.SetRunOpen(true)
	awaitSignal(t, x.Renewed())
	p.silence()
	cut := BootNow()
	lostAtDeadline(t, x)
	require.Less(t, BootNow().Sub(cut), 10*time.Second)
	awaitSignal(t, y.Lost())
	require.ErrorIs(t, y.Err(), ErrTrustEnded)
	require.Zero(t, l.Count())
	p.open() // what was held back arrives now and changes nothing
	require.ErrorIs(t, x.Err(), ErrTrustEnded)
	direct := s.leases(t, brief)
	requests := p.requests.Load()
	again, err := x.Release(t.Context(), true)
	require.False(t, again)
	require.ErrorIs(t, err, ErrTrustEnded)
	require.Equal(t, requests, p.requests.Load(), "after a loss nothing is sent")
	grantedLater(t, direct, ask(x.Session()))
}

func outageShorterThanTrust(t *testing.T, s *server) {
	l, p := through(t, s, steady)
	running(t, l)
	x := grant(t, l, ask(newSession()))
	p.silence()
	awaitState(t, x, func() bool { return x.askAgain })
	p.open()
	awaitSignal(t, x.Renewed())
	require.False(t, isClosed(x.Lost()))
}

func acquireUnavailable(t *testing.T, s *server) {
	l := s.leases(t, brief)
	s.stop()
	_, err := l.Acquire(t.Context(), ask(newSession()))
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)
	var unreachable *UnreachableError
	require.ErrorAs(t, l.redis.Ping(t.Context()), &unreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.Acquire(ctx, ask(newSession()))
	require.ErrorIs(t, err, context.Canceled)
}

func writesRefused(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	require.NoError(t, l.redis.client.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
	_, err := l.Acquire(t.Context(), ask(newSession()))
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.Positive(t, l.renew(t.Context(), []*Lease{x}), "to be asked for again soon")
	require.False(t, isClosed(x.Lost()), "an outage is no loss")
	require.NoError(t, l.redis.client.ConfigSet(t.Context(), "min-replicas-to-write", "0").Err())
	require.Zero(t, l.renew(t.Context(), []*Lease{x}))
}

// TestLeaseClosedPort is the outage in which every attempt fails at once.
func TestLeaseClosedPort(t *testing.T) {
	t.Parallel()
	s := startMiniredis(t)
	l := running(t, s.leases(t, brief))
	x := grant(t, l, ask(newSession()))
	s.stop()
	lostAtDeadline(t, x)
}
