package queue

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOutputComesBackAsWritten(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	s := newSession()
	body := []byte("\x00\xff text")
	want := Chunk{Session: s, Job: "j", Stream: "stderr", Fence: 7, Offset: 99, Body: bytes.Clone(body)}
	c := want
	c.Body = body
	require.NoError(t, q.WriteOutput(c))
	copy(body, "reused!!") // the caller may
	require.NoError(t, q.output.settled(ctx))
	var got []Chunk
	require.NoError(t, q.Output(ctx, s, false, func(c Chunk) error { got = append(got, c); return nil }))
	require.Len(t, got, 1)
	require.WithinDuration(t, time.Now(), got[0].At, time.Minute)
	got[0].At = time.Time{}
	require.Equal(t, want, got[0])
	require.Error(t, q.WriteOutput(Chunk{Session: "x"}))
}

// TestOutputNeverBlocks: with NATS away, writing goes on at once, up to the bound; what fitted arrives later.
func TestOutputNeverBlocks(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q := declared(t, n)
	ctx := within(t, 2*time.Minute)
	n.stop()
	require.Eventually(t, func() bool { return !q.Up() }, 60*time.Second, time.Millisecond)
	s := newSession()
	start := time.Now()
	written, dropped := 0, 0
	for i := range 300 {
		if err := q.WriteOutput(Chunk{Session: s, Offset: uint64(i), Body: make([]byte, 64<<10)}); err != nil {
			require.ErrorIs(t, err, ErrOutputDropped)
			dropped++
			continue
		}
		written++
	}
	q.Emit(Event{Type: "started", Session: s})
	require.Less(t, time.Since(start), 20*time.Second)
	require.Equal(t, 255, written)
	require.Equal(t, 45, dropped)
	mark := Chunk{Session: s, Offset: 1000, Dropped: 45}
	require.ErrorIs(t, q.WriteOutput(mark, Chunk{Session: s, Offset: 1045, Body: []byte("x")}), ErrOutputDropped, "all or none")
	require.NoError(t, q.WriteOutput(mark), "a mark alone always has room")
	n.start(t)
	require.NoError(t, q.output.settled(ctx))
	require.NoError(t, q.events.settled(ctx))
	var offsets, marks []uint64
	require.NoError(t, q.Output(ctx, s, false, func(c Chunk) error {
		if c.Dropped > 0 {
			require.Nil(t, c.Body)
			require.EqualValues(t, 1000, c.Offset)
			marks = append(marks, c.Dropped)
			return nil
		}
		offsets = append(offsets, c.Offset)
		return nil
	}))
	require.Len(t, offsets, written)
	require.Equal(t, []uint64{45}, marks)
	require.IsIncreasing(t, offsets)
	require.Len(t, events(t, q, s), 1)
	require.NoError(t, q.WriteOutput(Chunk{Session: s, Body: []byte("room again")}))
}
