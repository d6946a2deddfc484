package worker

import "sync"

// ears are where the adoptions of this worker hear that their session's record
// was changed. Any number of goroutines.
type ears struct {
	mu sync.Mutex
	by map[string]map[chan struct{}]struct{}
}

func newEars() *ears { return &ears{by: map[string]map[chan struct{}]struct{}{}} }

// listen answers a channel that gets a value, never more than one waiting, when
// the session is nudged, and the function that ends it.
func (e *ears) listen(session string) (heard chan struct{}, stop func()) {
	heard = make(chan struct{}, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.by[session] == nil {
		e.by[session] = map[chan struct{}]struct{}{}
	}
	e.by[session][heard] = struct{}{}
	return heard, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.by[session], heard)
		if len(e.by[session]) == 0 {
			delete(e.by, session)
		}
	}
}

func (e *ears) nudge(session string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.by[session] {
		poke(c)
	}
}

// poke leaves one value in a channel of capacity one.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
