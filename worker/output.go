package worker

import (
	"context"
	"sync/atomic"
	"time"

	"curfew/queue"
	"curfew/worker/agent"
	"curfew/worker/process"
)

// output is the sink of one run: it publishes what the agent prints, and lets
// the agent's reader look at the lines. It never waits for the server. What the
// server does not take in time is dropped and said: once in the log, by its
// metric, and in the stream itself, in its place.
type output struct {
	a      *adoption
	t      *task
	reader agent.Reader
	last   atomic.Int64 // when something was printed last, unix ns; 0 never
	said   atomic.Bool  // that something is dropped

	stdout, stderr gap // each its own stream's
}

// gap is what was dropped of a stream and not marked there yet.
type gap struct{ offset, bytes uint64 }

func newOutput(a *adoption, t *task) *output {
	open := (*agent.Agent).Reader
	if a.w.cfg.reader != nil {
		open = a.w.cfg.reader
	}
	return &output{a: a, t: t, reader: open(t.agent)}
}

// Chunk publishes bytes, after the mark of what was dropped before them.
func (o *output) Chunk(s process.Stream, offset uint64, b []byte) {
	o.last.Store(time.Now().UnixNano())
	g := o.gapIn(s)
	c := o.chunk(s, offset)
	c.Body = b
	var err error
	if g.bytes > 0 {
		err = o.a.w.q.WriteOutput(o.mark(s), c)
	} else {
		err = o.a.w.q.WriteOutput(c)
	}
	if err == nil {
		*g = gap{}
		return
	}
	if g.bytes == 0 {
		g.offset = offset
	}
	g.bytes += uint64(len(b))
	o.a.w.observe.OutputDropped(len(b))
	if !o.said.Swap(true) {
		o.a.log.WithError(err).Warn("output of the agent is being dropped: the stream does not take it")
	}
}

// close marks what was dropped at the end. Call it once the process is done.
func (o *output) close(ctx context.Context) {
	for _, s := range []process.Stream{process.Stdout, process.Stderr} {
		if g := o.gapIn(s); g.bytes > 0 && o.a.trusted(ctx) == nil {
			if err := o.a.w.q.WriteOutput(o.mark(s)); err != nil {
				o.a.log.WithError(err).WithField("bytes", g.bytes).Warn("output of the agent was dropped, and the stream does not say so")
			}
			*g = gap{}
		}
	}
}

func (o *output) gapIn(s process.Stream) *gap {
	if s == process.Stderr {
		return &o.stderr
	}
	return &o.stdout
}

func (o *output) chunk(s process.Stream, offset uint64) queue.Chunk {
	return queue.Chunk{Session: o.a.session, Job: o.t.job.ID, Stream: string(s), Fence: o.t.fence, Offset: offset}
}

func (o *output) mark(s process.Stream) queue.Chunk {
	g := o.gapIn(s)
	c := o.chunk(s, g.offset)
	c.Dropped = g.bytes
	return c
}

// Line lets the agent's reader see a line.
func (o *output) Line(s process.Stream, b []byte, cut bool) { o.reader.Line(s, b, cut) }

// verdict is final once the process is done.
func (o *output) verdict() agent.Verdict { return o.reader.Verdict() }
