package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"curfew/queue"
)

func TestGapsInOutput(t *testing.T) {
	t.Parallel()
	g := gaps{}
	out := func(fence, offset uint64, n int) queue.Chunk {
		return queue.Chunk{Fence: fence, Stream: "stdout", Offset: offset, Body: make([]byte, n)}
	}
	mark := func(offset, dropped uint64) queue.Chunk {
		return queue.Chunk{Fence: 1, Stream: "stdout", Offset: offset, Dropped: dropped}
	}
	for i, c := range []struct {
		chunk queue.Chunk
		want  uint64
	}{
		{out(1, 100, 10), 0}, // what was before is no longer kept
		{out(1, 110, 10), 0},
		{queue.Chunk{Fence: 1, Stream: "stderr", Offset: 5, Body: []byte("x")}, 0},
		{out(2, 0, 10), 0},   // another run
		{mark(120, 30), 30},  // it says so itself,
		{out(1, 150, 10), 0}, // once
		{out(1, 170, 10), 10},
		{mark(175, 5), 0}, // it is there after all
		{mark(190, 5), 15},
		{out(1, 100, 10), 0}, // again, after a reconnect
		{out(1, 195, 1), 0},
	} {
		require.Equal(t, c.want, g.before(c.chunk), "chunk %d", i)
	}
	require.EqualValues(t, 7, gaps{}.before(mark(0, 7)))
}
