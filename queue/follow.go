package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// scan reads a subject from a time on, to the end of the stream or, with follow, for ever.
func (q *Queue) scan(ctx context.Context, stream, subject string, since time.Time, follow bool, each func(*stored) error) error {
	if _, err := q.streamInfo(ctx, stream); err != nil {
		return err
	}
	if follow {
		f := follower{q: q, stream: stream, subject: subject, since: since, each: each}
		return f.run(ctx)
	}
	from := uint64(1)
	if !since.IsZero() {
		var err error
		if from, err = q.seqAt(ctx, stream, since); err != nil {
			return err
		}
	}
	return stopped(q.walk(ctx, stream, subject, from, each))
}

// follower reads a subject through consumers that live as long as they work. After each interruption it begins a new one behind
// the last message it handed out.
type follower struct {
	q               *Queue
	stream, subject string
	since           time.Time
	each            func(*stored) error

	identity Identity // of the stream that done counts in
	done     uint64   // last sequence handed out
}

const followBatch = 64

// errInterrupted ends one consumer of a follower.
var errInterrupted = errors.New("reading was interrupted")

// run answers nil when ctx ends or each answered ErrStop.
func (f *follower) run(ctx context.Context) error {
	for calm := firstCalm; ctx.Err() == nil; calm = min(2*calm, lastCalm) {
		before := f.done
		err := f.session(ctx, f.q.turning())
		if each := (*eachError)(nil); errors.As(err, &each) {
			return stopped(each.err)
		}
		f.q.log.WithError(err).WithField("stream", f.stream).Debug("reading was interrupted, or ends")
		if f.done != before {
			calm = firstCalm
		}
		_ = pause(ctx, nil, calm)
	}
	return nil
}

// eachError is what the callback answered.
type eachError struct{ err error }

func (e *eachError) Error() string { return e.err.Error() }
func (e *eachError) Unwrap() error { return e.err }

// session reads through one consumer until it fails, the epoch rises, ctx ends or each answers an error.
func (f *follower) session(ctx context.Context, risen <-chan struct{}) error {
	name, err := f.consumer(ctx)
	if err != nil {
		return err
	}
	p, err := f.q.newPull(f.stream, name)
	if err != nil {
		return err
	}
	defer f.end(p, name)
	expected := uint64(1)
	for {
		for m := p.take(); m != nil; m = p.take() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if meta.Sequence.Consumer != expected {
				return fmt.Errorf("%w: message %d is missing", errInterrupted, expected)
			}
			expected++
			s := &stored{Subject: m.Subject, Seq: meta.Sequence.Stream, Time: meta.Timestamp.UTC(), Data: m.Data, header: Header(m.Header)}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f.each(s); err != nil {
				return &eachError{err}
			}
			f.done = s.Seq
		}
		if code, text, ok := p.said(); ok && code != "408" && code != "404" {
			return fmt.Errorf("%w: %s %s", errInterrupted, code, text)
		}
		if err := p.ask(followBatch); err != nil {
			return err
		}
		if err := f.wait(ctx, p, risen); err != nil {
			return err
		}
	}
}

// end lets go of the consumer, without waiting for an answer.
func (f *follower) end(p *pull, name string) {
	p.leave(func(*nats.Msg) {})
	if f.q.Up() {
		_ = f.q.nc.Publish(f.q.api+"CONSUMER.DELETE."+f.stream+"."+name, nil)
	}
}

func (f *follower) wait(ctx context.Context, p *pull, risen <-chan struct{}) error {
	silence := time.NewTimer(p.silence())
	defer silence.Stop()
	select {
	case <-p.news:
		return nil
	case <-risen:
		return fmt.Errorf("%w: reconnected", errInterrupted)
	case <-silence.C:
		return fmt.Errorf("%w: the NATS server is silent", errInterrupted)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// consumer makes one that goes away by itself a minute after nobody pulls any more.
func (f *follower) consumer(ctx context.Context) (name string, err error) {
	info, err := f.q.streamInfo(ctx, f.stream)
	if err != nil {
		return "", err
	}
	if id := identityOf(info); id != f.identity {
		f.identity, f.done = id, 0 // a stream made anew counts from the beginning
	}
	c := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckNonePolicy,
		FilterSubject: f.subject, InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1,
	}
	switch {
	case f.done > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, f.done+1
	case !f.since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &f.since
	}
	err = f.q.request(ctx, changeTime, func(ctx context.Context) error {
		made, err := f.q.js.CreateConsumer(ctx, f.stream, c)
		if err == nil {
			name = made.CachedInfo().Name
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading from stream %s: %w", f.stream, err)
	}
	return name, nil
}
