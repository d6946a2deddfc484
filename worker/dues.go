package worker

import (
	"container/heap"
	"time"
)

// dues knows when the wall clocks end of the sessions that were not ended yet,
// and answers those that are over without looking at the others. One goroutine's.
type dues struct {
	at   map[string]time.Time // of each session
	next dueHeap              // may hold entries that at contradicts: those are out of date
}

func newDues() *dues { return &dues{at: map[string]time.Time{}} }

// set notes when the session's wall clock ends.
func (d *dues) set(session string, at time.Time) {
	if old, ok := d.at[session]; ok && old.Equal(at) {
		return
	}
	d.at[session] = at
	heap.Push(&d.next, due{session, at})
}

func (d *dues) drop(session string) { delete(d.at, session) }

func (d *dues) has(session string) bool {
	_, ok := d.at[session]
	return ok
}

// take answers, and forgets, the session that is over for longest at now; "" for
// none. A session is over strictly past its time.
func (d *dues) take(now time.Time) string {
	for len(d.next) > 0 {
		first := d.next[0]
		at, ok := d.at[first.session]
		current := ok && at.Equal(first.at)
		if current && !first.at.Before(now) {
			return ""
		}
		heap.Pop(&d.next)
		if current {
			delete(d.at, first.session)
			return first.session
		}
	}
	return ""
}

type due struct {
	session string
	at      time.Time
}

// dueHeap is a container/heap, the earliest first.
type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is heap.Interface's; use dues.set.
func (h *dueHeap) Push(x any) {
	if d, ok := x.(due); ok {
		*h = append(*h, d)
	}
}

// Pop is heap.Interface's; use dues.take.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = due{}
	*h = (*h)[:last]
	return d
}
