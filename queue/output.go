package queue

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Chunk is a piece of what a subprocess wrote.
type Chunk struct {
	Session string
	Job     string
	Stream  string // stdout or stderr
	Fence   uint64 // of the run
	Offset  uint64 // of the first byte in the run's stream: a gap shows what was dropped
	Body    []byte
	At      time.Time // when it was stored; not used by WriteOutput
}

const (
	streamHeader = "Curfew-Stream"
	fenceHeader  = "Curfew-Fence"
	offsetHeader = "Curfew-Offset"
)

// WriteOutput publishes a chunk that may be lost. It never blocks and keeps no reference to the body. ErrOutputDropped: 16 MiB
// wait for NATS already.
func (q *Queue) WriteOutput(c Chunk) error {
	if !ValidSession(c.Session) {
		return invalidf("session %+q is not a lower-case UUID", c.Session)
	}
	return q.output.put(&nats.Msg{
		Subject: q.names.OutputSubject(c.Session),
		Data:    slices.Clone(c.Body),
		Header: nats.Header{
			jobHeader:    {c.Job},
			streamHeader: {c.Stream},
			fenceHeader:  {strconv.FormatUint(c.Fence, 10)},
			offsetHeader: {strconv.FormatUint(c.Offset, 10)},
		},
	})
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
		return each(c)
	})
}
