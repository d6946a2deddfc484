package registry

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

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
	require.Zero(t, l.renew(t.Context(), []*Lease{x})) // the script is known
	h := &holdPipelines{sent: make(chan struct{}, 2), free: make(chan struct{})}
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
	case err := <-released:
		require.Failf(t, "released while a renewal was under way", "%v", err)
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
	l, ctx := s.leases(t, steady), t.Context()
	name := newSession()
	take := func(ttl time.Duration) *Duty {
		d, err := l.TakeDuty(ctx, name, ttl)
		require.NoError(t, err)
		return d
	}
	first := take(time.Minute)
	require.NotNil(t, first)
	require.Nil(t, take(time.Minute))
	mine, err := first.Renew(ctx)
	require.NoError(t, err)
	require.True(t, mine)
	require.Nil(t, take(time.Minute), "who was refused has taken nothing")
	first.Release(ctx)
	second := take(300 * time.Millisecond) // never given back
	require.NotNil(t, second)
	mine, err = first.Renew(ctx)
	require.NoError(t, err)
	require.False(t, mine, "given back is given back")
	var third *Duty
	require.Eventually(t, func() bool {
		third, err = l.TakeDuty(ctx, name, time.Minute)
		return err == nil && third != nil
	}, 60*time.Second, 10*time.Millisecond)
	mine, err = second.Renew(ctx)
	require.NoError(t, err)
	require.False(t, mine, "another one has it by now")
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
					if _, ok := errors.AsType[*HeldError](err); !ok {
						t.Error(err)
						return
					}
					time.Sleep(time.Millisecond)
					continue
				}
				most.Store(max(most.Load(), inside.Add(1)))
				time.Sleep(time.Millisecond)
				inside.Add(-1)
				if again, err := x.Release(t.Context(), true); err != nil || again {
					t.Errorf("released: again %t, %v", again, err)
					return
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
