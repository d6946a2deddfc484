package board

import "time"

// historySize times depthEvery is how far back the queue's depth is known: an hour.
const historySize = 360

// Point is the queue's depth at one moment.
type Point struct {
	At   time.Time
	Jobs uint64
}

// history is a ring of the last points.
type history struct {
	ring [historySize]Point
	next int
}

func (h *history) add(at time.Time, jobs uint64) {
	h.ring[h.next] = Point{at, jobs}
	h.next = (h.next + 1) % historySize
}

// points are those of the last hour, the oldest first; a gap in time is where the server did not answer.
func (h *history) points(now time.Time) []Point {
	var out []Point
	for i := range historySize {
		p := h.ring[(h.next+i)%historySize]
		if !p.At.IsZero() && now.Sub(p.At) <= historySize*depthEvery {
			out = append(out, p)
		}
	}
	return out
}
