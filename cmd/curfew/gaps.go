package main

import "curfew/queue"

// gaps finds what is missing in output that is read in the order of its storing.
type gaps map[runStream]uint64

// runStream names one stream of one run.
type runStream struct {
	fence  uint64
	stream string
}

// before answers how many bytes are missing before the chunk (of a mark: from it on) that were not told of yet. What is
// missing at the beginning of all counts only where a mark says it: old output is not kept for ever.
func (g gaps) before(c queue.Chunk) uint64 {
	key := runStream{c.Fence, c.Stream}
	next, met := g[key]
	end := c.Offset + c.Dropped + uint64(len(c.Body))
	g[key] = max(next, end)
	var missing uint64
	if met && c.Offset > next {
		missing = c.Offset - next
	}
	if c.Dropped > 0 && end > next {
		missing += end - max(next, c.Offset)
	}
	return missing
}
