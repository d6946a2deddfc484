package registry

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeRun is a subprocess that exits when the test says so, or after grace
// when it was told to stop.
type fakeRun struct {
	done  chan struct{}
	once  sync.Once
	grace time.Duration // 0: stopping does not make it exit
	cause atomic.Pointer[error]
	on    func()
}

func newFakeRun(grace time.Duration) *fakeRun {
	return &fakeRun{done: make(chan struct{}), grace: grace}
}

func (r *fakeRun) Done() <-chan struct{} { return r.done }

func (r *fakeRun) Stop(cause error) {
	if r.cause.CompareAndSwap(nil, &cause) && r.grace > 0 {
		time.AfterFunc(r.grace, r.exit)
	}
}

func (r *fakeRun) exit() {
	r.once.Do(func() {
		if r.on != nil {
			r.on()
		}
		close(r.done)
	})
}

func (r *fakeRun) stopped() error {
	if c := r.cause.Load(); c != nil {
		return *c
	}
	return nil
}

func TestTable(t *testing.T) {
	t.Parallel()
	tb := NewTable()
	a, b := newFakeRun(0), newFakeRun(0)
	require.NoError(t, tb.Register(Entry{ID: "1", Session: "a", PID: 11, Run: a}))
	require.NoError(t, tb.Register(Entry{ID: "2", Session: "b", PID: 12, Run: b}))
	require.ErrorIs(t, tb.Register(Entry{ID: "3", Session: "a", Run: newFakeRun(0)}), ErrLive)
	require.ErrorIs(t, tb.Register(Entry{ID: "1", Session: "c", Run: newFakeRun(0)}), ErrLive)
	require.Error(t, tb.Register(Entry{ID: "4", Session: "c"}))
	require.Equal(t, 2, tb.Count())

	a.Stop(errors.New("signalled"))
	tb.Unregister("1")
	e, ok := tb.BySession("a")
	require.True(t, ok, "signalled is not exited")
	require.Equal(t, "1", e.ID)

	a.exit()
	_, ok = tb.BySession("a")
	require.False(t, ok)
	require.Equal(t, 1, tb.Count())
	require.Equal(t, "2", tb.Active()[0].ID)
	require.NoError(t, tb.Register(Entry{ID: "3", Session: "a", Run: newFakeRun(0)}), "an exited one is no duplicate")
	tb.Unregister("1") // a late exit of the first run
	e, ok = tb.BySession("a")
	require.True(t, ok)
	require.Equal(t, "3", e.ID)
	tb.Unregister("no such run")

	b.exit() // leaves without anybody asking
	require.Eventually(t, func() bool {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		return len(tb.bySess) == 1 && len(tb.sessions) == 1
	}, 60*time.Second, time.Millisecond)
}

func TestTableStart(t *testing.T) {
	t.Parallel()
	replaced := errors.New("replaced")
	tb := NewTable()
	old := newFakeRun(50 * time.Millisecond)
	_, err := tb.Start(t.Context(), "a", replaced, func(context.Context) (Entry, error) {
		return Entry{ID: "1", Session: "a", Run: old}, nil
	})
	require.NoError(t, err)
	require.NoError(t, old.stopped())

	next := newFakeRun(0)
	e, err := tb.Start(t.Context(), "a", replaced, func(context.Context) (Entry, error) {
		require.True(t, isClosed(old.Done()), "the predecessor has exited before the spawn")
		return Entry{ID: "2", Session: "a", Run: next}, nil
	})
	require.NoError(t, err)
	require.Equal(t, "2", e.ID)
	require.ErrorIs(t, old.stopped(), replaced)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = tb.Start(ctx, "a", replaced, func(context.Context) (Entry, error) {
		require.Fail(t, "spawned beside a live predecessor")
		return Entry{}, nil
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	e, ok := tb.BySession("a")
	require.True(t, ok)
	require.Equal(t, "2", e.ID)
	next.exit()

	failed := errors.New("no such program")
	_, err = tb.Start(t.Context(), "a", replaced, func(context.Context) (Entry, error) { return Entry{}, failed })
	require.ErrorIs(t, err, failed)
	stray := newFakeRun(time.Millisecond)
	_, err = tb.Start(t.Context(), "a", replaced, func(context.Context) (Entry, error) {
		return Entry{ID: "3", Session: "b", Run: stray}, nil
	})
	require.Error(t, err)
	require.Error(t, stray.stopped(), "what cannot be registered is not left alive")
	require.Zero(t, tb.Count())
	require.Empty(t, tb.starts)
}

func TestTableStartsOneAtATime(t *testing.T) {
	t.Parallel()
	tb := NewTable()
	var alive, most atomic.Int32
	var wg sync.WaitGroup
	const starts = 40
	for i := range starts {
		wg.Go(func() {
			_, err := tb.Start(t.Context(), "a", errors.New("next"), func(context.Context) (Entry, error) {
				r := newFakeRun(time.Millisecond)
				r.on = func() { alive.Add(-1) }
				most.Store(max(most.Load(), alive.Add(1)))
				return Entry{ID: strconv.Itoa(i), Session: "a", Run: r}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, most.Load())
	require.Equal(t, 1, tb.Count())
	require.Empty(t, tb.starts)
}

func TestTableStartWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	tb := NewTable()
	under, free := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := tb.Start(context.Background(), "a", nil, func(context.Context) (Entry, error) {
			close(under)
			<-free
			return Entry{ID: "1", Session: "a", Run: newFakeRun(0)}, nil
		})
		first <- err
	}()
	<-under
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("drained")
	cancel(why)
	_, err := tb.Start(ctx, "a", nil, nil)
	require.ErrorIs(t, err, why)
	_, err = tb.Start(t.Context(), "b", nil, func(context.Context) (Entry, error) {
		return Entry{ID: "2", Session: "b", Run: newFakeRun(0)}, nil
	})
	require.NoError(t, err, "another session does not wait")
	close(free)
	require.NoError(t, <-first)
	require.Equal(t, 2, tb.Count())
}
