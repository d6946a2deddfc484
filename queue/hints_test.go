package queue

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestHintsDoNotHoard(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q := declared(t, n)
	other := declared(t, n)
	for range 10 {
		publish(t, q, NewJob{Session: newSession()})
	}
	a, b := hints(t, q), hints(t, other)
	first := next(t, a, 5*time.Second)
	start := time.Now()
	seen := map[uint64]bool{first.Seq: true}
	for range 9 {
		x := next(t, b, 5*time.Second)
		require.False(t, seen[x.Seq])
		seen[x.Seq] = true
	}
	require.Less(t, time.Since(start), 5*time.Second)
	c, err := q.js.Consumer(within(t, 60*time.Second), q.names.Jobs, q.names.Consumer)
	require.NoError(t, err)
	require.Equal(t, 10, c.CachedInfo().NumAckPending)
}

func TestHintsServeSeveralCallers(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	h := hints(t, q)
	const callers, each = 8, 25
	var mu sync.Mutex
	seen := map[uint64]int{}
	var wg sync.WaitGroup
	ctx := within(t, 20*time.Second)
	for range callers {
		wg.Go(func() {
			for range each {
				x, err := h.Next(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[x.Seq]++
				mu.Unlock()
				if err := q.Remove(ctx, &x.Message); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range callers * each {
		publish(t, q, NewJob{Session: newSession()})
	}
	wg.Wait()
	require.Len(t, seen, callers*each)
}

func TestHintAnswers(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t), func(o *Options) { o.AckWait = time.Second })
	h := hints(t, q)
	s := newSession()
	p := publish(t, q, NewJob{Session: s, Agent: "a", Body: []byte("in")})
	x := next(t, h, 5*time.Second)
	m := head(t, q, s)
	require.Equal(t, m.Time, x.Time)
	require.Equal(t, m.Header, x.Header)
	require.Equal(t, m.Body, x.Body)
	require.Equal(t, m.identity, x.identity)
	require.Equal(t, p.Seq, x.Seq)

	require.NoError(t, x.Nak(0))
	x = next(t, h, 500*time.Millisecond)
	start := time.Now()
	require.NoError(t, x.Nak(300*time.Millisecond))
	x = next(t, h, 5*time.Second)
	require.GreaterOrEqual(t, time.Since(start), 280*time.Millisecond)

	// Kept for three times AckWait by InProgress, then given up.
	for range 6 {
		_, err := h.Next(shortly(t, 500*time.Millisecond))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, x.InProgress())
	}
	x = next(t, h, 5*time.Second)
	require.NoError(t, x.Ack())
	require.Eventually(t, func() bool {
		_, err := q.Get(t.Context(), p.Seq)
		return err != nil
	}, 60*time.Second, 5*time.Millisecond)
}

func shortly(t *testing.T, d time.Duration) context.Context { t.Helper(); return within(t, d) }

// TestHintsOfAnyJob: what the server or a client library could mistake for something else still is a job.
func TestHintsOfAnyJob(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	h := hints(t, q)
	s := newSession()
	for name, c := range map[string]struct {
		subject string
		header  nats.Header
		session string
	}{
		"upper case":      {"curfew.jobs.0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B", nil, ""},
		"no UUID":         {"curfew.jobs.x", nil, ""},
		"extra token":     {"curfew.jobs." + s + ".more", nil, ""},
		"odd bytes":       {"curfew.jobs.\xff\x01", nil, ""},
		"looks deleted":   {"curfew.jobs." + s, nats.Header{"Status": {"409"}, "Description": {"Consumer Deleted"}}, s},
		"looks like beat": {"curfew.jobs." + s, nats.Header{"Status": {"100"}}, s},
		"looks unheard":   {"curfew.jobs." + s, nats.Header{"Status": {"503"}}, s},
	} {
		epoch := q.Epoch()
		seq := raw(t, q, c.subject, c.header, "")
		x := next(t, h, 2*time.Second)
		require.Equal(t, seq, x.Seq, name)
		require.Equal(t, c.session, x.Session, name)
		require.Equal(t, c.subject, x.Subject, name)
		_, err := ParseJob(&x.Message)
		require.Equal(t, c.session == "", err != nil, name)
		require.NoError(t, q.Remove(t.Context(), &x.Message))
		require.Equal(t, epoch, q.Epoch(), name)
	}
}

func TestDrainHandsOutAndEnds(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	idle := hints(t, q)
	idle.Drain()
	_, err := idle.Next(t.Context())
	require.ErrorIs(t, err, ErrDrained)

	// One caller waits at the server when the drain begins.
	h := hints(t, q)
	got := make(chan error, 1)
	go func() {
		_, err := h.Next(t.Context())
		got <- err
	}()
	require.Eventually(t, func() bool {
		c, err := q.js.Consumer(t.Context(), q.names.Jobs, q.names.Consumer)
		return err == nil && c.CachedInfo().NumWaiting == 1
	}, 60*time.Second, 5*time.Millisecond)
	h.Drain()
	h.Drain()
	require.ErrorIs(t, <-got, ErrDrained)
	publish(t, q, NewJob{Session: newSession()})
	_, err = h.Next(t.Context())
	require.ErrorIs(t, err, ErrDrained)
	next(t, hints(t, q), time.Second)
}

// TestDrainLosesNoDelivery drains while a job arrives at a waiting caller: it is handed out by this one or by the next, it
// never waits for AckWait.
func TestDrainLosesNoDelivery(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q, other := declared(t, n), declared(t, n)
	ctx := within(t, 120*time.Second)
	for round := range 60 {
		a := hints(t, q)
		got := make(chan uint64, 4)
		go func() {
			defer close(got)
			for {
				x, err := a.Next(ctx)
				if err != nil {
					return
				}
				got <- x.Seq
			}
		}()
		require.Eventually(t, func() bool {
			c, err := q.js.Consumer(ctx, q.names.Jobs, q.names.Consumer)
			return err == nil && c.CachedInfo().NumWaiting == 1
		}, 60*time.Second, time.Millisecond)
		sent := make(chan uint64, 1)
		go func() {
			p, err := other.Publish(ctx, NewJob{Session: newSession()})
			if err != nil {
				t.Error(err)
			}
			sent <- p.Seq
		}()
		for begin := time.Now(); time.Since(begin) < time.Duration(round)*10*time.Microsecond; {
			runtime.Gosched() // the drain meets the delivery at another point of its way each round
		}
		a.Drain()
		want := <-sent
		if seq, ok := <-got; ok {
			require.Equal(t, want, seq)
		} else {
			b := hints(t, other)
			require.Equal(t, want, next(t, b, 3*time.Second).Seq, round)
			b.Drain()
		}
		require.NoError(t, q.Remove(ctx, &Message{Seq: want, epoch: q.Epoch()}))
	}
}

// TestALeavingCallerLosesNoDelivery: what was asked for by a caller that is gone goes to the next at once.
func TestALeavingCallerLosesNoDelivery(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q, other := declared(t, n), declared(t, n)
	h := hints(t, q)
	_, err := h.Next(shortly(t, 100*time.Millisecond))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	p := publish(t, q, NewJob{Session: newSession()})
	b := hints(t, other)
	x := next(t, b, 2*time.Second)
	require.Equal(t, p.Seq, x.Seq)
	require.NoError(t, x.Nak(0))
	require.Equal(t, p.Seq, next(t, h, 2*time.Second).Seq)
}

func TestHintsHealADeletedConsumer(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	h := hints(t, q)
	ctx := within(t, 20*time.Second)
	for _, waiting := range []bool{true, false} {
		epoch := q.Epoch()
		got := make(chan *Hint, 1)
		if waiting {
			go func() {
				x, err := h.Next(ctx)
				if err != nil {
					t.Error(err)
				}
				got <- x
			}()
			require.Eventually(t, func() bool {
				c, err := q.js.Consumer(ctx, q.names.Jobs, q.names.Consumer)
				return err == nil && c.CachedInfo().NumWaiting == 1
			}, 60*time.Second, 5*time.Millisecond)
		}
		require.NoError(t, q.js.DeleteConsumer(ctx, q.names.Jobs, q.names.Consumer))
		p := publish(t, q, NewJob{Session: newSession()})
		var x *Hint
		if waiting {
			x = <-got
		} else {
			x = next(t, h, 5*time.Second)
		}
		require.Equal(t, p.Seq, x.Seq)
		require.NoError(t, q.Remove(ctx, &x.Message))
		require.NoError(t, h.Healthy())
		require.Greater(t, q.Epoch(), epoch)
	}
}

func TestHintsHealADeletedStream(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q, admin := declared(t, n), connect(t, n)
	h := hints(t, q)
	ctx := within(t, 20*time.Second)
	identity, epoch := q.Identity(), q.Epoch()
	old := publish(t, q, NewJob{Session: newSession()})
	held := next(t, h, 5*time.Second)
	require.Equal(t, old.Seq, held.Seq)
	got := make(chan *Hint, 1)
	go func() {
		x, err := h.Next(ctx)
		if err != nil {
			t.Error(err)
		}
		got <- x
	}()
	require.NoError(t, admin.js.DeleteStream(ctx, q.names.Jobs))
	require.Eventually(t, func() bool { return q.Identity() != identity }, 60*time.Second, time.Millisecond)
	p := publish(t, q, NewJob{Session: newSession(), ID: "new"}) // with an id: the new stream may swallow the first try
	x := <-got
	require.Equal(t, p.Seq, x.Seq)
	require.Equal(t, held.Seq, x.Seq, "the numbers begin anew")
	require.Greater(t, q.Epoch(), epoch)

	// The old delivery's answers must not reach the new stream's message of that number.
	require.NoError(t, held.Ack())
	require.NoError(t, q.nc.Flush())
	require.Never(t, func() bool {
		_, err := q.Get(ctx, x.Seq)
		return err != nil
	}, 300*time.Millisecond, 20*time.Millisecond)
	require.NoError(t, x.Ack())
}

func TestHintsWaitForAnOperatorWhenTheyMayNotDeclare(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	admin := declared(t, n)
	q := connect(t, n, func(o *Options) { o.Declare = DeclareNever })
	ctx := within(t, 20*time.Second)
	require.NoError(t, q.Declare(ctx, terms()))
	h := hints(t, q)
	got := make(chan *Hint, 1)
	go func() {
		x, err := h.Next(ctx)
		if err != nil {
			t.Error(err)
		}
		got <- x
	}()
	identity := q.Identity()
	require.NoError(t, admin.js.DeleteStream(ctx, q.names.Jobs))
	require.Eventually(t, func() bool { return h.Healthy() != nil }, 60*time.Second, time.Millisecond)
	_, err := admin.js.Stream(ctx, q.names.Jobs)
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	_, err = admin.Setup(ctx, terms())
	require.NoError(t, err)
	p := publish(t, admin, NewJob{Session: newSession()})
	x := <-got
	require.Equal(t, p.Seq, x.Seq)
	require.NoError(t, h.Healthy())
	require.NotEqual(t, identity, q.Identity())
	require.Equal(t, q.Identity(), x.identity)
}

func TestHintsSurviveARestart(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q := declared(t, n)
	h := hints(t, q)
	ctx := within(t, 30*time.Second)
	identity, epoch := q.Identity(), q.Epoch()
	s := newSession()
	publish(t, q, NewJob{Session: s})
	held := next(t, h, 5*time.Second)
	got := make(chan *Hint, 1)
	go func() {
		x, err := h.Next(ctx)
		if err != nil {
			t.Error(err)
		}
		got <- x
	}()
	n.stop()
	require.Eventually(t, func() bool { return h.Healthy() != nil }, 60*time.Second, time.Millisecond)
	require.ErrorIs(t, held.Nak(0), ErrDisconnected)
	removed := make(chan error, 1)
	go func() { removed <- q.Remove(ctx, &held.Message) }()
	n.start(t)
	require.NoError(t, <-removed)
	require.Greater(t, q.Epoch(), epoch)
	p := publish(t, q, NewJob{Session: s, ID: "after"})
	start := time.Now()
	x := <-got
	require.Equal(t, p.Seq, x.Seq)
	require.Less(t, time.Since(start), 5*time.Second)
	require.Equal(t, identity, q.Identity())
	require.NoError(t, h.Healthy())
	require.NoError(t, held.Ack(), "same stream: sent, harmless")
}

func TestConsumerDeletedWhileAway(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		n := startNode(t)
		q := declared(t, n)
		h := hints(t, q)
		ctx := within(t, 30*time.Second)
		got := make(chan *Hint, 1)
		go func() {
			x, err := h.Next(ctx)
			if err != nil {
				t.Error(err)
			}
			got <- x
		}()
		publish(t, q, NewJob{Session: newSession()})
		require.NoError(t, q.Remove(ctx, &(<-got).Message)) // an Ack might not arrive before the stop
		go func() {
			x, err := h.Next(ctx)
			if err != nil {
				t.Error(err)
			}
			got <- x
		}()
		n.stop()
		// Deleted behind the worker's back, at a server that it does not reach.
		port := n.opts.Port
		n.opts.Port = -1
		n.start(t)
		admin := connect(t, n)
		if stream {
			require.NoError(t, admin.js.DeleteStream(ctx, q.names.Jobs))
		} else {
			require.NoError(t, admin.js.DeleteConsumer(ctx, q.names.Jobs, q.names.Consumer))
		}
		admin.Close()
		n.stop()
		n.opts.Port = port
		n.start(t)
		require.Eventually(t, q.Up, 60*time.Second, time.Millisecond)
		start := time.Now()
		p := publish(t, q, NewJob{Session: newSession(), ID: "x"})
		require.Equal(t, p.Seq, (<-got).Seq)
		require.Less(t, time.Since(start), 5*time.Second)
	}
}

// TestAHealedConsumerIsWhole: what is made in place of a deleted consumer keeps its folder on the server's disk.
func TestAHealedConsumerIsWhole(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 120*time.Second)
	h := hints(t, q)
	for i := range healsOfAConsumer {
		before, err := q.js.Consumer(ctx, q.names.Jobs, q.names.Consumer)
		require.NoError(t, err)
		taken := make(chan error, 1)
		go func() {
			x, err := h.Next(ctx)
			if err == nil {
				err = x.Ack() //nolint:contextcheck // it takes none
			}
			taken <- err
		}()
		require.Eventually(t, func() bool {
			info, err := before.Info(ctx)
			require.NoError(t, err)
			return info.NumWaiting > 0
		}, 60*time.Second, time.Millisecond, "it is asked for a delivery")
		require.NoError(t, q.js.DeleteConsumer(ctx, q.names.Jobs, q.names.Consumer))
		publish(t, q, NewJob{Session: newSession()})
		require.NoError(t, <-taken)
		now, err := q.js.Consumer(ctx, q.names.Jobs, q.names.Consumer)
		require.NoError(t, err)
		require.True(t, now.CachedInfo().Created.After(before.CachedInfo().Created))
		conf := now.CachedInfo().Config
		conf.Description = fmt.Sprint("whole ", i)
		_, err = q.js.UpdateConsumer(ctx, q.names.Jobs, conf)
		require.NoError(t, err, "it writes what it is")
	}
}

const healsOfAConsumer = 10
