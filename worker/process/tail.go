package process

import (
	"slices"
	"sync"
)

// tail keeps the last bytes of a stream. It may be read while it is written.
type tail struct {
	max int
	mu  sync.Mutex
	b   []byte // at most twice max, so that moving it is rare
}

func (t *tail) write(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(b) >= t.max {
		t.b = append(t.b[:0], b[len(b)-t.max:]...)
		return
	}
	if len(t.b)+len(b) > 2*t.max {
		t.b = t.b[:copy(t.b, t.b[len(t.b)-t.max:])]
	}
	t.b = append(t.b, b...)
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.b[max(0, len(t.b)-t.max):])
}
