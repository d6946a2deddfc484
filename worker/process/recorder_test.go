package process

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what should come at once; only a
// failing one needs it.
const patience = 60 * time.Second

// recorder is a Sink that keeps everything and notes overlapping calls.
type recorder struct {
	lines  chan string // standard output's, first bytes only
	busy   [2]atomic.Bool
	broken atomic.Value // of string

	mu      sync.Mutex
	out     map[Stream]*bytes.Buffer
	sizes   []int
	times   []time.Time
	lengths []int
	cuts    []bool
}

func newRecorder() *recorder {
	return &recorder{
		lines: make(chan string, 1000),
		out:   map[Stream]*bytes.Buffer{Stdout: {}, Stderr: {}},
	}
}

func (r *recorder) enter(s Stream) func() {
	i := 0
	if s == Stderr {
		i = 1
	}
	if !r.busy[i].CompareAndSwap(false, true) {
		r.broken.Store("calls overlap for " + string(s))
	}
	return func() { r.busy[i].Store(false) }
}

func (r *recorder) Chunk(s Stream, offset uint64, b []byte) {
	defer r.enter(s)()
	r.mu.Lock()
	defer r.mu.Unlock()
	if offset != uint64(r.out[s].Len()) {
		r.broken.Store("a chunk of " + string(s) + " has a wrong offset")
	}
	r.out[s].Write(b)
	r.sizes = append(r.sizes, len(b))
	r.times = append(r.times, time.Now())
}

func (r *recorder) Line(s Stream, b []byte, cut bool) {
	defer r.enter(s)()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lengths = append(r.lengths, len(b))
	r.cuts = append(r.cuts, cut)
	if s == Stdout {
		select {
		case r.lines <- string(b[:min(len(b), 200)]):
		default:
		}
	}
}

// all is standard output so far.
func (r *recorder) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out[Stdout].String()
}

// await waits for one line of standard output.
func (r *recorder) await(t *testing.T, want string) {
	t.Helper()
	require.Equal(t, want, r.next(t))
}

func (r *recorder) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-r.lines:
		return line
	case <-time.After(patience):
		t.Fatal("no line came")
		return ""
	}
}

// end waits for Done and checks what holds for every run.
func end(t *testing.T, p *Process, r *recorder) Exit {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatal("it did not end")
	}
	if r != nil {
		require.Nil(t, r.broken.Load())
	}
	return p.Exit()
}

// run starts a Spec with a recorder.
func run(t *testing.T, s Spec) (*Process, *recorder) {
	t.Helper()
	r := newRecorder()
	s.Sink = r
	return start(t, s), r
}
