package registry

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// brief is for tests in which leases run out, steady for those in which none may.
var (
	brief  = Terms{TTL: time.Second, Renew: 200 * time.Millisecond, Margin: 200 * time.Millisecond}
	steady = Terms{TTL: 20 * time.Second, Renew: 250 * time.Millisecond, Margin: time.Second}
)

func TestLease(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			exerciseLease(t, b)
		})
	}
}

// exerciseLease is what every kind of Redis must do. Tests of one session share
// a server; those that harm the server have their own.
func exerciseLease(t *testing.T, b backend) {
	t.Helper()
	shared := b.start(t)
	for name, f := range map[string]func(*testing.T, *server){
		"acquire own token again":                 acquireOwnAgain,
		"acquire held, knock, look again, force":  acquireHeld,
		"acquire unclean until, lock evicted":     acquireUncleanUntil,
		"acquire unclean, until set back in time": acquireClockSetBack,
		"acquire unclean, unknown lease":          acquireMissing,
		"acquire missing since another run id":    acquireMissingRunID,
		"acquire known crashed lease":             acquireCrashed,
		"acquire lease of an earlier run id":      acquireEarlierRunID,
		"acquire after release":                   acquireReleased,
		"acquire under a used token":              acquireUsed,
		"renew ours":                              renewOurs,
		"renew after the lock was deleted":        renewDeleted,
		"renew after release":                     renewReleased,
		"renew another's":                         renewAnothers,
		"renew another's with the run open":       renewAnothersRunOpen,
		"renew another's until the trust ends":    renewAnothersTrustEnds,
		"renew a lock of an earlier run id":       renewEarlierRunID,
		"release a foreign token":                 releaseForeign,
		"release waits for the renewal under way": releaseWaits,
		"release twice":                           releaseTwice,
		"lowered knock":                           lowerKnock,
		"duty":                                    duty,
		"one holder at a time":                    oneHolder,
		"many leases in one round":                manyLeases,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, shared)
		})
	}
	for name, own := range map[string]struct {
		f     func(*testing.T, *server)
		needs ability
	}{
		"unknown scripts in the pipeline":       {renewNoScript, 0},
		"flush with a live holder":              {flushLive, 0},
		"flush with a holder cut off":           {flushCutOff, 0},
		"restart with a live holder":            {restartLive, restarts},
		"restart with a holder cut off":         {restartCutOff, restarts},
		"acquire whose answer is lost":          {acquireReplyLost, proxied},
		"release whose answer is lost":          {releaseReplyLost, proxied},
		"release whose answer is lost, knocked": {releaseReplyLostKnocked, proxied},
		"release that never arrives":            {releaseUnanswered, proxied},
		"renewals that never arrive":            {lossAtTrustEnd, proxied},
		"renewals that arrive again":            {outageShorterThanTrust, proxied},
		"acquire without an answer":             {acquireUnavailable, 0},
		"writes refused":                        {writesRefused, refuses},
	} {
		if b.can&own.needs != own.needs {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own.f(t, b.start(t))
		})
	}
}

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
		held := refusedHeld(t, l, a)
		require.Positive(t, held.Wait)
		require.LessOrEqual(t, held.Wait, steady.TTL)
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
	unclean := refusedUnclean(t, l, ask(session))
	require.Positive(t, unclean.Wait)
	require.LessOrEqual(t, unclean.Wait, brief.TTL)
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
	require.LessOrEqual(t, refusedUnclean(t, l, ask(session)).Wait, brief.TTL)
	y := grantedLater(t, l, ask(session))
	require.GreaterOrEqual(t, y.Granted().Sub(from), brief.TTL)
}

func acquireMissing(t *testing.T, s *server) {
	l := s.leases(t, brief)
	session := newSession()
	a := ask(session)
	a.Open = NewToken()
	from := redisNow(t, l)
	require.Equal(t, brief.TTL, refusedUnclean(t, l, a).Wait)
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
	require.Equal(t, brief.TTL, refusedUnclean(t, l, a).Wait, "what an earlier run id noted says nothing")
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
	require.Equal(t, brief.TTL, refusedUnclean(t, l, a).Wait, "an older lease may have been brought back")
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
	for !isClosed(x.Lost()) {
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

func releaseForeign(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	other := usurp(t, l, x.Session())
	before := leaseHash(t, l, x.Session())
	again, err := x.Release(t.Context(), true)
	require.NoError(t, err)
	require.False(t, again)
	require.Equal(t, other, lock(t, l, x.Session()))
	require.Equal(t, before, leaseHash(t, l, x.Session()))
}

// holdPipelines is a hook that lets no pipeline's answer through until told.
type holdPipelines struct {
	sent, free chan struct{}
	commands   atomic.Int32
}

func (h *holdPipelines) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *holdPipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.commands.Add(1)
		return next(ctx, cmd)
	}
}

func (h *holdPipelines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		h.sent <- struct{}{}
		<-h.free
		return err
	}
}

func releaseWaits(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	h := &holdPipelines{sent: make(chan struct{}), free: make(chan struct{})}
	l.redis.client.AddHook(h)
	round := make(chan struct{})
	go func() {
		defer close(round)
		l.renew(context.Background(), []*Lease{x})
	}()
	awaitSignal(t, h.sent)
	released := make(chan error, 1)
	go func() {
		_, err := x.Release(context.Background(), false)
		released <- err
	}()
	awaitState(t, x, func() bool { return x.phase == leaving })
	select {
	case <-released:
		require.Fail(t, "released while a renewal was under way")
	case <-time.After(100 * time.Millisecond):
	}
	require.Zero(t, h.commands.Load(), "the release was sent while a renewal was under way")
	close(h.free)
	require.NoError(t, <-released)
	<-round
	require.Empty(t, lock(t, l, x.Session()))
	require.Zero(t, l.renew(t.Context(), []*Lease{x}), "a released lease is not renewed")
	require.Empty(t, lock(t, l, x.Session()))
}

func releaseTwice(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	_, err := x.Release(t.Context(), false)
	require.NoError(t, err)
	y := grant(t, l, ask(x.Session()))
	_, err = x.Release(t.Context(), true)
	require.ErrorIs(t, err, errReleased)
	require.Equal(t, y.Token(), lock(t, l, x.Session()))
	y.Orphan()
	_, err = y.Release(t.Context(), true)
	require.ErrorIs(t, err, errReleased)
	require.Equal(t, y.Token(), lock(t, l, x.Session()), "an orphan sends nothing")
	require.Zero(t, l.Count())
}

func lowerKnock(t *testing.T, s *server) {
	l := s.leases(t, steady)
	x := grant(t, l, ask(newSession()))
	a := ask(x.Session())
	a.Seq = 9
	refusedHeld(t, l, a)
	again, err := x.Release(t.Context(), false)
	require.NoError(t, err)
	require.True(t, again)
	x.LowerKnockSeq(4)
	_, seq := x.Knocks()
	require.EqualValues(t, 4, seq)
	x.LowerKnockSeq(6)
	_, seq = x.Knocks()
	require.EqualValues(t, 4, seq, "lowered, never raised")
	again, err = x.Release(t.Context(), false)
	require.NoError(t, err)
	require.False(t, again)
}

func duty(t *testing.T, s *server) {
	l := s.leases(t, steady)
	name := newSession()
	ok, done, err := l.Duty(t.Context(), name, 10*time.Second)
	require.NoError(t, err)
	require.True(t, ok)
	no, nothing, err := l.Duty(t.Context(), name, 10*time.Second)
	require.NoError(t, err)
	require.False(t, no)
	nothing(t.Context())
	no, _, err = l.Duty(t.Context(), name, 10*time.Second)
	require.NoError(t, err)
	require.False(t, no, "who was refused has nothing to give back")
	done(t.Context())
	ok, _, err = l.Duty(t.Context(), name, 300*time.Millisecond) // never given back
	require.NoError(t, err)
	require.True(t, ok)
	require.Eventually(t, func() bool {
		ok, _, err = l.Duty(t.Context(), name, time.Second)
		return err == nil && ok
	}, 20*time.Second, 10*time.Millisecond)
}

func oneHolder(t *testing.T, s *server) {
	session := newSession()
	var inside, most, turns atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		l := running(t, s.leases(t, steady))
		wg.Go(func() {
			for turn := 0; turn < 10; {
				x, err := l.Acquire(t.Context(), ask(session))
				if err != nil {
					var held *HeldError
					if !errors.As(err, &held) {
						t.Error(err)
						return
					}
					time.Sleep(time.Millisecond)
					continue
				}
				most.Store(max(most.Load(), inside.Add(1)))
				time.Sleep(time.Millisecond)
				inside.Add(-1)
				if _, err := x.Release(t.Context(), true); err != nil {
					t.Error(err)
				}
				turns.Add(1)
				turn++
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, most.Load())
	require.EqualValues(t, 40, turns.Load())
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
	}, 20*time.Second, 10*time.Millisecond)
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

	p.lose.Store(acquireAttempts) // the grant never arrives, the attempt to give it back does
	_, err := l.Acquire(t.Context(), ask(newSession()))
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.NotContains(t, err.Error(), "redis://")

	gone := ask(newSession())
	p.lose.Store(acquireAttempts)
	_, err = l.Acquire(t.Context(), gone)
	require.ErrorAs(t, err, &unavailable)
	require.Empty(t, lock(t, direct, gone.Session), "a lease that nobody knows of was given back")
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
	require.Equal(t, steady.TTL, refusedUnclean(t, l, unknown).Wait)
	crashed := grant(t, l, ask(newSession()))
	next := ask(crashed.Session())
	next.Open = crashed.Token()

	m.SetTime(now.Add(steady.TTL - time.Millisecond))
	require.Equal(t, time.Millisecond, refusedUnclean(t, l, ask(evicted.Session())).Wait)
	require.Equal(t, time.Millisecond, refusedUnclean(t, l, unknown).Wait)
	require.Equal(t, time.Millisecond, refusedHeld(t, l, next).Wait)
	m.SetTime(now.Add(steady.TTL))
	grant(t, l, ask(evicted.Session()))
	grant(t, l, unknown)
	grant(t, l, next)
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

func BenchmarkAcquireRelease(b *testing.B) {
	l := benchLeases(b)
	b.ReportAllocs()
	for b.Loop() {
		x, err := l.Acquire(b.Context(), Ask{Session: "a", Token: NewToken(), Seq: 1})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x.Release(b.Context(), false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRenew2000(b *testing.B) {
	l := benchLeases(b)
	for range 2000 {
		if _, err := l.Acquire(b.Context(), ask(newSession())); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if l.renew(b.Context(), l.all()) != 0 {
			b.Fatal("not renewed")
		}
	}
}

func benchLeases(b *testing.B) *Leases {
	b.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		b.Skip("needs redis-server")
	}
	return startRedis(b).leases(b, steady)
}
