package process

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLongLine(t *testing.T) {
	t.Parallel()
	p, r := run(t, child("longline"))
	require.Equal(t, "code 0", end(t, p, r).String())
	require.Equal(t, []int{lineMax, len("short")}, r.lengths)
	require.Equal(t, []bool{true, false}, r.cuts)
	require.EqualValues(t, 3<<20-lineMax, p.Dropped())
	require.Len(t, r.all(), 3<<20+len("\nshort\n"), "chunks have all of it")
}

func TestFlood(t *testing.T) {
	t.Parallel()
	const size = 50 << 20
	s := child("flood", fmt.Sprint(size))
	c := &counter{}
	s.Sink = c
	p := start(t, s)
	require.Equal(t, "code 0", end(t, p, nil).String())
	require.EqualValues(t, size, c.bytes.Load())
	require.EqualValues(t, size/16, c.lines.Load())
	require.Zero(t, p.Dropped())
	require.LessOrEqual(t, c.largest.Load(), int64(bigBuffer))
}

// counter is a Sink that keeps nothing.
type counter struct{ bytes, lines, largest atomic.Int64 }

func (c *counter) Chunk(_ Stream, _ uint64, b []byte) {
	c.bytes.Add(int64(len(b)))
	c.largest.Store(max(c.largest.Load(), int64(len(b))))
}
func (c *counter) Line(Stream, []byte, bool) { c.lines.Add(1) }

// A chunk goes out by its age while the subprocess lives on in silence.
func TestChunkByAge(t *testing.T) {
	t.Parallel()
	p, r := run(t, child("drip"))
	require.Eventually(t, func() bool { return r.all() == dripped }, patience, time.Millisecond)
	select {
	case <-p.Done():
		t.Fatal("it should live")
	default:
	}
}

func TestStderrTail(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"short": 10, "exact": tailMax, "long": tailMax + 1, "longer": 5*tailMax + 7} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			for i := 0; text.Len() < size; i++ {
				fmt.Fprintf(&text, "%d ", i)
			}
			all := text.String()[:size]
			for _, sink := range []Sink{nil, nothing{}} {
				s := child("stderr", all)
				s.Sink = sink
				p := start(t, s)
				require.Equal(t, "code 1", end(t, p, nil).String())
				require.Equal(t, all[max(0, len(all)-tailMax):], string(p.StderrTail()))
			}
		})
	}
}

func TestTailOfPieces(t *testing.T) {
	t.Parallel()
	var all []byte
	tl := tail{max: 100}
	for i := range 300 {
		piece := bytes.Repeat([]byte{byte(i)}, i%130)
		all = append(all, piece...)
		tl.write(piece)
		require.Equal(t, string(all[max(0, len(all)-100):]), string(tl.bytes()))
		require.LessOrEqual(t, cap(tl.b), 512)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in      string
		want    []string // a cut one has a *
		dropped uint64
	}{
		"nothing":          {},
		"one":              {in: "a\n", want: []string{"a"}},
		"no newline":       {in: "a\nb", want: []string{"a", "b"}},
		"empty ones":       {in: "\n\na\n", want: []string{"", "", "a"}},
		"carriage return":  {in: "a\r\n", want: []string{"a\r"}},
		"as long as may":   {in: "12345678\na", want: []string{"12345678", "a"}},
		"a byte too long":  {in: "123456789\na\n", want: []string{"12345678*", "a"}, dropped: 1},
		"cut, then ended":  {in: "12345678901", want: []string{"12345678*"}, dropped: 3},
		"cut twice":        {in: "1234567890\n1234567890\n", want: []string{"12345678*", "12345678*"}, dropped: 4},
		"long, then empty": {in: "1234567890\n\n", want: []string{"12345678*", ""}, dropped: 2},
	} {
		for step := 1; step <= len(c.in)+1; step++ {
			t.Run(fmt.Sprint(name, " by ", step), func(t *testing.T) {
				t.Parallel()
				var got []string
				var dropped atomic.Uint64
				l := lines{max: 8, dropped: &dropped, emit: func(b []byte, cut bool) {
					got = append(got, string(b)+map[bool]string{true: "*"}[cut])
				}}
				for in := []byte(c.in); len(in) > 0; in = in[min(step, len(in)):] {
					l.write(in[:min(step, len(in))])
				}
				l.finish()
				require.Equal(t, c.want, got)
				require.Equal(t, c.dropped, dropped.Load())
			})
		}
	}
}

// A silent subprocess must not cost its reader a buffer.
//
//nolint:paralleltest // it measures this process' memory
func TestSilenceIsCheap(t *testing.T) {
	const count = 30
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range count {
		p, r := run(t, child("drip"))
		require.Eventually(t, func() bool { return r.all() == dripped }, patience, time.Millisecond)
		require.NotNil(t, p)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)) / count
	t.Logf("%d bytes of heap and stack each, the test's recorder included", each)
	require.Less(t, each, int64(64<<10))
}
