package registry

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func renewOurs(t *testing.T, s *server) {
	l := running(t, s.leases(t, steady))
	x := grant(t, l, ask(newSession()))
	deadline, until := x.Deadline(), leaseHash(t, l, x.Session())["until"]
	for range 2 { // the first may have been on its way when it was granted
		awaitSignal(t, x.Renewed())
	}
	require.Greater(t, x.Deadline(), deadline)
	require.Greater(t, leaseHash(t, l, x.Session())["until"], until)
	require.Equal(t, "ours", renewOnce(t, l, x.Session(), x.Token()))
	require.WithinDuration(t, redisNow(t, l), x.Now(), 2*time.Second)
	require.NoError(t, x.Err())
}

func awaitSignal(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		require.FailNow(t, "no signal in 30 s")
	}
}

func renewDeleted(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	dropLock(t, l, x.Session())
	require.Equal(t, "again", renewOnce(t, l, x.Session(), x.Token()))
	require.Equal(t, x.Token(), lock(t, l, x.Session()))
}

func renewReleased(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	_, err := x.Release(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, "lost", renewOnce(t, l, x.Session(), x.Token()))
	require.Empty(t, lock(t, l, x.Session()))
}

// usurp puts another token's lock there, as a grant after a loss of memory would.
func usurp(t *testing.T, l *Leases, session string) string {
	t.Helper()
	other := NewToken()
	require.NoError(t, l.redis.client.Set(t.Context(), l.keys(session)[0], other, time.Minute).Err())
	setLease(t, l, session, "token", other)
	return other
}

func renewAnothers(t *testing.T, s *server) {
	l := running(t, s.leases(t, steady))
	x := grant(t, l, ask(newSession()))
	other := usurp(t, l, x.Session())
	awaitSignal(t, x.Lost())
	require.ErrorIs(t, x.Err(), ErrTaken)
	require.LessOrEqual(t, x.TrustLeft(), time.Duration(0))
	require.Equal(t, other, lock(t, l, x.Session()))
	again, err := x.Release(t.Context(), true)
	require.False(t, again)
	require.ErrorIs(t, err, ErrTaken)
	require.Equal(t, other, lock(t, l, x.Session()))
	require.Zero(t, l.Count())
}

func renewAnothersRunOpen(t *testing.T, s *server) {
	terms := steady
	terms.Renew = 2 * time.Second // what comes sooner was asked for again
	l := running(t, s.leases(t, terms))
	x := grant(t, l, ask(newSession()))
	x.SetRunOpen(true)
	other := usurp(t, l, x.Session())
	awaitState(t, x, func() bool { return x.askAgain })
	require.Equal(t, other, lock(t, l, x.Session()))
	require.False(t, isClosed(x.Lost()))
	dropLock(t, l, x.Session()) // the record refused the other one, it left
	setLease(t, l, x.Session(), "released", other)
	from := time.Now()
	awaitSignal(t, x.Renewed())
	require.Less(t, time.Since(from), terms.Renew*4/5)
	require.Equal(t, x.Token(), lock(t, l, x.Session()))

	usurp(t, l, x.Session())
	awaitState(t, x, func() bool { return x.askAgain })
	x.SetRunOpen(false) // closed: nothing speaks for this holder any more
	awaitSignal(t, x.Lost())
	require.ErrorIs(t, x.Err(), ErrTaken)
}

func awaitState(t *testing.T, x *Lease, cond func() bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return cond()
	}, 30*time.Second, 5*time.Millisecond)
}

func renewAnothersTrustEnds(t *testing.T, s *server) {
	l := running(t, s.leases(t, brief))
	x := grant(t, l, ask(newSession()))
	x.SetRunOpen(true)
	usurp(t, l, x.Session())
	lostAtDeadline(t, x)
}

// lostAtDeadline waits for the loss: at the end of the trust window, not before.
func lostAtDeadline(t *testing.T, x *Lease) {
	t.Helper()
	var last BootTime
	for end := time.Now().Add(30 * time.Second); !isClosed(x.Lost()); {
		require.True(t, time.Now().Before(end), "not lost")
		if d := x.Deadline(); d != 0 {
			last = d
		}
		time.Sleep(time.Millisecond)
	}
	at := BootNow()
	require.ErrorIs(t, x.Err(), ErrTrustEnded)
	require.GreaterOrEqual(t, at, last)
	require.Less(t, at.Sub(last), 5*time.Second)
	require.LessOrEqual(t, x.TrustLeft(), time.Duration(0))
}

func renewEarlierRunID(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	other := usurp(t, l, x.Session())
	setLease(t, l, x.Session(), "run", "0123+4567", "missing_since", "1")
	word := renewOnce(t, l, x.Session(), x.Token())
	if !s.knowsID { // nothing can be said about it
		require.Equal(t, "lost", word)
		require.Equal(t, other, lock(t, l, x.Session()))
		return
	}
	require.Equal(t, "again", word)
	require.Equal(t, x.Token(), lock(t, l, x.Session()))
	f := leaseHash(t, l, x.Session())
	require.Equal(t, x.Token(), f["token"])
	require.NotEqual(t, "0123+4567", f["run"])
	require.NotContains(t, f, "missing_since")
	require.Equal(t, "lost", renewOnce(t, l, x.Session(), other))
}

func manyLeases(t *testing.T, s *server) {
	l := s.leases(t, steady)
	all := make([]*Lease, 50)
	deadlines := make([]BootTime, len(all))
	for i := range all {
		all[i] = grant(t, l, ask(newSession()))
		deadlines[i] = all[i].Deadline()
	}
	usurp(t, l, all[7].Session())
	require.Zero(t, l.renew(t.Context(), l.all()))
	for i, x := range all {
		if i == 7 {
			require.ErrorIs(t, x.Err(), ErrTaken)
			continue
		}
		require.Greater(t, x.Deadline(), deadlines[i])
	}
	require.Equal(t, len(all)-1, l.Count())
}

func renewNoScript(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x, y := grant(t, l, ask(newSession())), grant(t, l, ask(newSession()))
	require.NoError(t, l.redis.client.ScriptFlush(t.Context()).Err())
	before := x.Deadline()
	require.Zero(t, l.renew(t.Context(), []*Lease{x, y}))
	require.Greater(t, x.Deadline(), before)
	require.NoError(t, l.redis.client.ScriptFlush(t.Context()).Err())
	_, err := x.Release(t.Context(), false)
	require.NoError(t, err)
	require.Empty(t, lock(t, l, x.Session()))
}

func answerAfterTrust(t *testing.T, s *server) {
	l := s.leases(t, brief)
	x := grant(t, l, ask(newSession()))
	x.mu.Lock()
	x.watch.Stop() // nothing else finds out
	x.watch = nil
	x.mu.Unlock()
	require.True(t, x.ask(make(chan struct{})))
	start := BootNow()
	require.Eventually(t, func() bool { return x.TrustLeft() <= 0 }, 60*time.Second, time.Millisecond)
	require.False(t, x.answer(start, reply{word: "ours", now: time.Now()}))
	require.ErrorIs(t, x.Err(), ErrTrustEnded)
	require.False(t, x.ask(make(chan struct{})))
}

func renewedFromStart(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	require.Zero(t, l.renew(t.Context(), []*Lease{x})) // the script is known
	h := &holdPipelines{sent: make(chan struct{}), free: make(chan struct{})}
	l.redis.client.AddHook(h)
	round := make(chan struct{})
	before := BootNow()
	go func() {
		defer close(round)
		l.renew(context.Background(), []*Lease{x})
	}()
	awaitSignal(t, h.sent)
	after := BootNow() // it had started by now, however late its answer is taken
	require.Eventually(t, func() bool { return BootNow().Sub(after) > 50*time.Millisecond }, 60*time.Second, time.Millisecond)
	close(h.free)
	<-round
	require.GreaterOrEqual(t, x.Deadline(), before.Add(steady.Trust()))
	require.LessOrEqual(t, x.Deadline(), after.Add(steady.Trust()))
}
