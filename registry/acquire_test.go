package registry

import (
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"
)

func acquireOwnAgain(t *testing.T, s *server) {
	l := s.leases(t, steady)
	a := ask(newSession())
	first := grant(t, l, a)
	require.NoError(t, l.redis.client.PExpire(t.Context(), l.keys(a.Session)[0], time.Second).Err())
	setLease(t, l, a.Session, "until", "1")
	again := grant(t, l, a)
	require.False(t, again.Granted().Before(first.Granted()))
	left, err := l.redis.client.PTTL(t.Context(), l.keys(a.Session)[0]).Result()
	require.NoError(t, err)
	require.Greater(t, left, time.Second)
	require.Equal(t, millis(again.Granted().Add(steady.TTL)), leaseHash(t, l, a.Session)["until"])
}

func millis(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }

func acquireHeld(t *testing.T, s *server) {
	l := s.leases(t, steady)
	session := newSession()
	x := grant(t, l, ask(session))
	count, seq := x.Knocks()
	require.Zero(t, count)
	require.Zero(t, seq)
	for _, seq := range []uint64{7, 5, 0} {
		a := ask(session)
		a.Seq = seq
		wait := refusedHeld(t, l, a)
		require.Positive(t, wait)
		require.LessOrEqual(t, wait, steady.TTL)
	}
	again, err := x.Release(t.Context(), false)
	require.NoError(t, err)
	require.True(t, again)
	require.Positive(t, x.TrustLeft())
	count, seq = x.Knocks()
	require.EqualValues(t, 3, count)
	require.EqualValues(t, 7, seq)
	require.Equal(t, x.Token(), lock(t, l, session))
	require.Equal(t, "ours", renewOnce(t, l, session, x.Token()))

	again, err = x.Release(t.Context(), false)
	require.NoError(t, err)
	require.False(t, again)
	require.LessOrEqual(t, x.TrustLeft(), time.Duration(0))
	require.Zero(t, x.Deadline())
	require.Empty(t, lock(t, l, session))

	y := grant(t, l, ask(session)) // the counter is never cleared
	count, seq = y.Knocks()
	require.EqualValues(t, 3, count)
	require.EqualValues(t, 7, seq)
	refusedHeld(t, l, ask(session))
	again, err = y.Release(t.Context(), true)
	require.NoError(t, err)
	require.False(t, again)
	require.Empty(t, lock(t, l, session))
	require.False(t, isClosed(y.Lost()))
}

func acquireUncleanUntil(t *testing.T, s *server) {
	l := s.leases(t, brief)
	session := newSession()
	x := grant(t, l, ask(session))
	dropLock(t, l, session)
	wait := refusedUnclean(t, l, ask(session))
	require.Positive(t, wait)
	require.LessOrEqual(t, wait, brief.TTL)
	y := grantedLater(t, l, ask(session))
	require.GreaterOrEqual(t, y.Granted().Sub(x.Granted()), brief.TTL)
}

func acquireClockSetBack(t *testing.T, s *server) {
	l := s.leases(t, brief)
	session := newSession()
	grant(t, l, ask(session))
	dropLock(t, l, session)
	from := redisNow(t, l)
	setLease(t, l, session, "until", millis(from.Add(time.Hour)))
	require.LessOrEqual(t, refusedUnclean(t, l, ask(session)), brief.TTL)
	y := grantedLater(t, l, ask(session))
	require.GreaterOrEqual(t, y.Granted().Sub(from), brief.TTL)
}

func acquireMissing(t *testing.T, s *server) {
	l := s.leases(t, brief)
	session := newSession()
	a := ask(session)
	a.Open = NewToken()
	from := redisNow(t, l)
	require.Equal(t, brief.TTL, refusedUnclean(t, l, a))
	since := leaseHash(t, l, session)["missing_since"]
	other := ask(session)
	other.Open = NewToken() // another worker, a stale read: the wait does not begin again
	refusedUnclean(t, l, other)
	require.Equal(t, since, leaseHash(t, l, session)["missing_since"])
	x := grantedLater(t, l, a)
	require.GreaterOrEqual(t, x.Granted().Sub(from), brief.TTL)
	require.NotContains(t, leaseHash(t, l, session), "missing_since")
	require.NotContains(t, leaseHash(t, l, session), "missing_run")
}

func acquireMissingRunID(t *testing.T, s *server) {
	l := s.leases(t, brief)
	session := newSession()
	a := ask(session)
	a.Open = NewToken()
	long := millis(redisNow(t, l).Add(-time.Hour))
	setLease(t, l, session, "missing_since", long, "missing_run", "0123+4567")
	require.Equal(t, brief.TTL, refusedUnclean(t, l, a), "what an earlier run id noted says nothing")
	setLease(t, l, session, "missing_since", long)
	grant(t, l, a)
}

func acquireCrashed(t *testing.T, s *server) {
	l := s.leases(t, brief)
	session := newSession()
	x := grant(t, l, ask(session))
	a := ask(session)
	a.Open = x.Token()
	refusedHeld(t, l, a)
	y := grantedLater(t, l, a)
	require.GreaterOrEqual(t, y.Granted().Sub(x.Granted()), brief.TTL)
	require.NotContains(t, leaseHash(t, l, session), "missing_since")
}

func acquireEarlierRunID(t *testing.T, s *server) {
	l := s.leases(t, brief)
	session := newSession()
	x := grant(t, l, ask(session))
	dropLock(t, l, session)
	setLease(t, l, session, "run", "0123+4567", "until", "1")
	a := ask(session)
	a.Open = x.Token()
	require.Equal(t, brief.TTL, refusedUnclean(t, l, a), "an older lease may have been brought back")
	a.Open = ""
	grant(t, l, a)
}

func acquireReleased(t *testing.T, s *server) {
	l := s.leases(t, steady)
	session := newSession()
	x := grant(t, l, ask(session))
	again, err := x.Release(t.Context(), false)
	require.NoError(t, err)
	require.False(t, again)
	a := ask(session)
	a.Open = x.Token() // a stale read of the record
	grant(t, l, a)
	require.NotContains(t, leaseHash(t, l, session), "released")
}

func acquireUsed(t *testing.T, s *server) {
	l := s.leases(t, steady)
	a := ask(newSession())
	x := grant(t, l, a)
	_, err := x.Release(t.Context(), false)
	require.NoError(t, err)
	_, err = l.Acquire(t.Context(), a)
	require.ErrorIs(t, err, ErrTokenUsed)
	require.Empty(t, lock(t, l, a.Session))
}

// TestLeaseBoundaries stands the clock still and looks at both sides of each limit.
func TestLeaseBoundaries(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	m := miniredis.NewMiniRedis()
	require.NoError(t, m.Start())
	t.Cleanup(m.Close)
	m.SetTime(now)
	m.ClockTTL(true)
	s := singleForm(m.Addr())
	l := s.leases(t, steady)

	evicted := grant(t, l, ask(newSession()))
	require.Equal(t, now, evicted.Granted())
	dropLock(t, l, evicted.Session())
	unknown := ask(newSession())
	unknown.Open = NewToken()
	require.Equal(t, steady.TTL, refusedUnclean(t, l, unknown))
	crashed := grant(t, l, ask(newSession()))
	next := ask(crashed.Session())
	next.Open = crashed.Token()

	m.SetTime(now.Add(steady.TTL - time.Millisecond))
	require.Equal(t, time.Millisecond, refusedUnclean(t, l, ask(evicted.Session())))
	require.Equal(t, time.Millisecond, refusedUnclean(t, l, unknown))
	require.Equal(t, time.Millisecond, refusedHeld(t, l, next))
	m.SetTime(now.Add(steady.TTL))
	grant(t, l, ask(evicted.Session()))
	grant(t, l, unknown)
	grant(t, l, next)
}
