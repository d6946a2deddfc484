package queue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Chunk is a piece of what a subprocess wrote, or the mark that one is missing.
type Chunk struct {
	Session string
	Job     string
	Stream  string // stdout or stderr
	Fence   uint64 // of the run
	Offset  uint64 // of the first byte in the run's stream: a gap shows what was dropped
	Body    []byte
	// Dropped makes it a mark: so many bytes, from Offset on, were dropped because
	// NATS was away or too slow. Its Body is nobody's output, and "" when read.
	Dropped uint64
	At      time.Time // when it was stored; not used by WriteOutput
}

const (
	streamHeader = "Curfew-Stream"
	fenceHeader  = "Curfew-Fence"
	offsetHeader = "Curfew-Offset"
	// markHeader is on marks only.
	markHeader = "Curfew-Dropped"
)

// WriteOutput publishes chunks that may be lost: all of them in their order, or none. It never blocks and keeps no reference to
// the bodies. ErrOutputDropped: 16 MiB wait for NATS already; a mark alone is taken even then.
func (q *Queue) WriteOutput(chunks ...Chunk) error {
	all, marks := make([]*nats.Msg, len(chunks)), 0
	for i, c := range chunks {
		if !ValidSession(c.Session) {
			return invalidf("session %+q is not a lower-case UUID", c.Session)
		}
		all[i] = &nats.Msg{
			Subject: q.names.OutputSubject(c.Session),
			Data:    slices.Clone(c.Body),
			Header: nats.Header{
				jobHeader:    {c.Job},
				streamHeader: {c.Stream},
				fenceHeader:  {strconv.FormatUint(c.Fence, 10)},
				offsetHeader: {strconv.FormatUint(c.Offset, 10)},
			},
		}
		if c.Dropped > 0 {
			marks++
			all[i].Header.Set(markHeader, strconv.FormatUint(c.Dropped, 10))
			all[i].Data = fmt.Appendf(nil, "curfew: %d bytes dropped\n", c.Dropped)
		}
	}
	return q.output.put(marks == len(all), all...)
}

// Output calls each for every chunk of the session ("" for all) that is still kept, in the order of storing. It ends as Events does.
func (q *Queue) Output(ctx context.Context, session string, follow bool, each func(Chunk) error) error {
	subject, err := target(q.names.AllOutput, session)
	if err != nil {
		return err
	}
	return q.scan(ctx, q.names.Output, subject, time.Time{}, follow, func(s *stored) error {
		c := Chunk{
			Session: sessionIn(q.names.AllOutput, s.Subject),
			Job:     s.header.first(jobHeader), Stream: s.header.first(streamHeader),
			Body: s.Data, At: s.Time,
		}
		c.Fence, _ = strconv.ParseUint(s.header.first(fenceHeader), 10, 64)
		c.Offset, _ = strconv.ParseUint(s.header.first(offsetHeader), 10, 64)
		if c.Dropped, _ = strconv.ParseUint(s.header.first(markHeader), 10, 64); c.Dropped > 0 {
			c.Body = nil
		}
		return each(c)
	})
}
