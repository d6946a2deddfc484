package registry

import (
	"context"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

const recSession = "5b1c3ab0-6f0e-4c69-9c55-2b8d7d3d7a01"

func testConn(t *testing.T) *nats.Conn {
	t.Helper()
	s, err := natsd.NewServer(&natsd.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	nc, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func openTestRecords(t *testing.T) *Records {
	t.Helper()
	nc := testConn(t)
	_, err := OpenRecords(t.Context(), nc, "curfew", RecordOptions{})
	require.ErrorIs(t, err, ErrNoBucket)
	r, err := OpenRecords(t.Context(), nc, "curfew", RecordOptions{Declare: true})
	require.NoError(t, err)
	_, err = OpenRecords(t.Context(), nc, "curfew", RecordOptions{Declare: true})
	require.NoError(t, err, "opening again finds it")
	return r
}

func TestRecordsCompareAndSet(t *testing.T) {
	t.Parallel()
	r, ctx := openTestRecords(t), t.Context()
	none, err := r.Get(ctx, recSession)
	require.NoError(t, err)
	require.Zero(t, none.Revision)

	first, err := r.Update(ctx, none, Record{Agent: "default"}.Begin(Opening{Token: "a", Seq: 1, Agent: "default"}))
	require.NoError(t, err)
	require.Equal(t, first.Revision, first.Fence(), "the opening revision is the fence")
	_, err = r.Update(ctx, none, Record{})
	require.ErrorIs(t, err, ErrConflict, "created twice")

	ordered, err := r.StopRun(ctx, recSession, "test")
	require.NoError(t, err)
	require.Greater(t, ordered.Revision, first.Revision)
	require.Equal(t, first.Fence(), ordered.Fence(), "an order does not move the fence")
	require.Equal(t, first.Run.RunKey, ordered.Stop.RunKey)
	again, err := r.StopRun(ctx, recSession, "test")
	require.NoError(t, err)
	require.Equal(t, ordered.Revision, again.Revision, "the same order is written once")
	_, err = r.Update(ctx, first, Record{})
	require.ErrorIs(t, err, ErrConflict, "written over an order")

	read, err := r.Get(ctx, recSession)
	require.NoError(t, err)
	require.Equal(t, first.Fence(), read.Fence())
	require.Equal(t, ordered.Stop.Reason, read.Stop.Reason)
}

func TestOrders(t *testing.T) {
	t.Parallel()
	r, ctx := openTestRecords(t), t.Context()
	for name, order := range map[string]func() (Snapshot, error){
		"stop":   func() (Snapshot, error) { return r.StopRun(ctx, recSession, "") },
		"extend": func() (Snapshot, error) { return r.Extend(ctx, recSession, time.Hour) },
	} {
		_, err := order()
		require.ErrorIs(t, err, ErrNoSession, name)
	}
	s, err := r.Get(ctx, recSession)
	require.NoError(t, err)
	s, err = r.Update(ctx, s, Record{CreatedAt: time.Now().UTC(), MaxAgeMS: time.Hour.Milliseconds()})
	require.NoError(t, err)
	_, err = r.StopRun(ctx, recSession, "")
	require.ErrorIs(t, err, ErrNoRun)
	_, err = r.Extend(ctx, recSession, MaxSessionAge)
	require.ErrorIs(t, err, ErrTooOld)
	longer, err := r.Extend(ctx, recSession, time.Hour)
	require.NoError(t, err)
	require.Equal(t, s.Curfew().Add(time.Hour), longer.Curfew())

	replaced, err := r.Replace(ctx, recSession, 9)
	require.NoError(t, err)
	require.Equal(t, uint64(9), replaced.ReplaceSeq)
	lower, err := r.Replace(ctx, recSession, 4)
	require.NoError(t, err)
	require.Equal(t, uint64(9), lower.ReplaceSeq, "it only grows")

	_, err = r.Cancel(ctx, recSession, "enough")
	require.NoError(t, err)
	_, err = r.Cancel(ctx, recSession, "")
	require.ErrorIs(t, err, ErrOver)
	_, err = r.Extend(ctx, recSession, time.Hour)
	require.ErrorIs(t, err, ErrOver)

	early, err := r.Cancel(ctx, "5b1c3ab0-6f0e-4c69-9c55-2b8d7d3d7a02", "before its first job")
	require.NoError(t, err)
	require.Equal(t, WhyCancelled, early.Tombstone.Why)
}

func TestOrdersOfManyAreAllKept(t *testing.T) {
	t.Parallel()
	r, ctx := openTestRecords(t), t.Context()
	s, err := r.Get(ctx, recSession)
	require.NoError(t, err)
	_, err = r.Update(ctx, s, Record{CreatedAt: time.Now().UTC(), MaxAgeMS: 1000_000})
	require.NoError(t, err)
	const n = 20
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := r.Extend(ctx, recSession, time.Second)
			errs <- err
		}()
	}
	for range n {
		require.NoError(t, <-errs)
	}
	s, err = r.Get(ctx, recSession)
	require.NoError(t, err)
	require.EqualValues(t, 1000_000+n*1000, s.MaxAgeMS)
}

func TestRecordsListAndWatch(t *testing.T) {
	t.Parallel()
	r := openTestRecords(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, r.All(ctx, func(Snapshot) error { t.Fatal("there is none yet"); return nil }))
	none := Snapshot{Session: recSession}
	first, err := r.Update(ctx, none, Record{Agent: "a"})
	require.NoError(t, err)
	var listed []string
	require.NoError(t, r.All(ctx, func(s Snapshot) error { listed = append(listed, s.Session+" "+s.Agent); return nil }))
	require.Equal(t, []string{recSession + " a"}, listed)

	seen := make(chan string, 10)
	ended := make(chan error, 1)
	go func() { ended <- r.Watch(ctx, func(s Snapshot) error { seen <- s.Agent; return nil }) }()
	require.Equal(t, "a", <-seen)
	_, err = r.Update(ctx, first, Record{Agent: "b"})
	require.NoError(t, err)
	require.Equal(t, "b", <-seen)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
