package registry

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestChanges(t *testing.T) {
	t.Parallel()
	nc, ctx := testConn(t), t.Context()
	r, err := OpenRecords(ctx, nc, "curfew", RecordOptions{Declare: true})
	require.NoError(t, err)
	var at Cursor
	var anew, unreadable int
	follow := func() (got map[string]uint64) {
		got = map[string]uint64{}
		var err error
		at, err = r.Changes(ctx, at, func() { anew++ }, func(s Snapshot, bad error) {
			if bad != nil {
				require.ErrorIs(t, bad, ErrUnreadable)
				unreadable++
			}
			require.NotContains(t, got, s.Session, "one reading of what changed, however often that was")
			got[s.Session] = s.Revision
		})
		require.NoError(t, err)
		return got
	}
	require.Empty(t, follow())
	require.Equal(t, 1, anew, "the first bucket is a new one too")

	a, err := r.Update(ctx, Snapshot{Session: "a"}, Record{MaxAgeMS: 1})
	require.NoError(t, err)
	b, err := r.Update(ctx, Snapshot{Session: "b"}, Record{MaxAgeMS: 1})
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"a": a.Revision, "b": b.Revision}, follow())
	require.Empty(t, follow())

	for range 3 {
		b, err = r.Update(ctx, b, b.Record)
		require.NoError(t, err)
	}
	_, err = r.kv.Put(ctx, "c", []byte("not a record"))
	require.NoError(t, err)
	require.NoError(t, r.kv.Delete(ctx, "a"))
	got := follow()
	require.Equal(t, b.Revision, got["b"])
	require.Contains(t, got, "c")
	require.Equal(t, 1, unreadable)
	require.Contains(t, got, "a")
	require.Zero(t, got["a"], "a deleted record is told of")
	require.Equal(t, 1, anew)

	// Another bucket under the same name, further along than the cursor is.
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteKeyValue(ctx, BucketName("curfew")))
	r, err = OpenRecords(ctx, nc, "curfew", RecordOptions{Declare: true})
	require.NoError(t, err)
	s := Snapshot{Session: "z"}
	for range 20 {
		s, err = r.Update(ctx, s, Record{CreatedAt: time.Now()})
		require.NoError(t, err)
	}
	require.Equal(t, map[string]uint64{"z": s.Revision}, follow())
	require.Equal(t, 2, anew)
}
