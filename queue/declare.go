package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// Identity tells one jobs stream from another of the same name: its creation time, unix nanoseconds in decimal.
type Identity string

// standing is what was last seen of the jobs stream, and in which epoch.
type standing struct {
	identity Identity
	epoch    uint64
}

func identityOf(info *jetstream.StreamInfo) Identity {
	return Identity(strconv.FormatInt(info.Created.UnixNano(), 10))
}

// Identity answers the jobs stream as last seen; "" before the first Declare, Setup, Attach or read.
func (q *Queue) Identity() Identity {
	if st := q.standing.Load(); st != nil {
		return st.identity
	}
	return ""
}

// Declare makes the streams and the consumer that are missing and compares those that exist. Differences are a
// *DifferError, other agreed lease terms a *TermsError (both may be in one error). With DeclareNever it makes nothing: a
// missing stream is ErrNotSetUp. The terms are used again when the streams have to be healed later.
func (q *Queue) Declare(ctx context.Context, t Terms) error {
	if err := t.validate(); err != nil {
		return err
	}
	if _, err := q.declare(ctx, t); err != nil {
		return err
	}
	q.terms.Store(&t)
	return nil
}

func (t Terms) validate() error {
	if t.TTL <= 0 || t.Margin <= 0 || t.Margin >= t.TTL {
		return fmt.Errorf("lease ttl %v and margin %v: both must be positive, and margin the smaller", t.TTL, t.Margin)
	}
	return nil
}

// declare answers whether it made the jobs stream or its consumer.
func (q *Queue) declare(ctx context.Context, t Terms) (made bool, err error) {
	create := q.o.Declare != DeclareNever
	epoch := q.Epoch()
	var differ []string
	var others error
	for i, want := range q.wantedStreams(t) {
		info, created, err := q.streamOrNew(ctx, want, create)
		if err != nil {
			return made, err
		}
		made = made || created && i == 0
		have := info.Config
		d, _ := differences("stream "+want.Name, streamSettings(), &have, want)
		differ = append(differ, d...)
		if i > 0 {
			continue
		}
		q.saw(info, epoch)
		switch agreed, ok := termsIn(info.Config.Metadata); {
		case !ok:
			differ = append(differ, fmt.Sprintf("stream %s: no lease ttl and margin agreed, should be %v and %v", want.Name, t.TTL, t.Margin))
		case agreed != t:
			others = &TermsError{Agreed: agreed, Wanted: t}
		}
	}
	have, created, err := q.consumerOrNew(ctx, create)
	if err != nil {
		return made, err
	}
	d, _ := differences("consumer "+q.names.Consumer, consumerSettings(), &have, q.wantedConsumer())
	if differ = append(differ, d...); len(differ) > 0 {
		others = errors.Join(others, &DifferError{Differences: differ})
	}
	return made || created, others
}

// streamInfo answers ErrNotSetUp where the stream does not exist.
func (q *Queue) streamInfo(ctx context.Context, name string, opts ...jetstream.StreamInfoOpt) (info *jetstream.StreamInfo, err error) {
	d := attemptTime
	if len(opts) > 0 {
		d = changeTime
	}
	err = q.manage(ctx, d, func(ctx context.Context) error {
		s, err := q.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		if info = s.CachedInfo(); len(opts) > 0 {
			info, err = s.Info(ctx, opts...)
		}
		return err
	})
	if apiCode(err) == jetstream.JSErrCodeStreamNotFound {
		return nil, fmt.Errorf("stream %s: %w", name, ErrNotSetUp)
	}
	if err != nil {
		return nil, fmt.Errorf("asking for stream %s: %w", name, err)
	}
	return info, nil
}

func (q *Queue) streamOrNew(ctx context.Context, want jetstream.StreamConfig, create bool) (info *jetstream.StreamInfo, created bool, err error) {
	info, err = q.streamInfo(ctx, want.Name)
	if !errors.Is(err, ErrNotSetUp) || !create {
		return info, false, err
	}
	err = q.manage(ctx, changeTime, func(ctx context.Context) error {
		_, err := q.js.CreateStream(ctx, want)
		return err
	})
	// Another worker may have made it meanwhile, with other settings: what is there decides.
	if err != nil && apiCode(err) != jetstream.JSErrCodeStreamNameInUse {
		return nil, false, fmt.Errorf("creating stream %s (%d bytes at most): %w", want.Name, want.MaxBytes, err)
	}
	q.log.WithField("stream", want.Name).Info("stream created")
	info, err = q.streamInfo(ctx, want.Name)
	return info, true, err
}

func (q *Queue) consumerOrNew(ctx context.Context, create bool) (have jetstream.ConsumerConfig, created bool, err error) {
	name := q.names.Consumer
	err = q.manage(ctx, changeTime, func(ctx context.Context) error {
		c, err := q.js.Consumer(ctx, q.names.Jobs, name)
		if err == nil {
			have = c.CachedInfo().Config
		}
		return err
	})
	if apiCode(err) != jetstream.JSErrCodeConsumerNotFound {
		if err != nil {
			err = fmt.Errorf("asking for consumer %s: %w", name, err)
		}
		return have, false, err
	}
	if !create {
		return have, false, fmt.Errorf("consumer %s of stream %s: %w", name, q.names.Jobs, ErrNotSetUp)
	}
	have, err = q.newConsumer(ctx)
	return have, true, err
}

func (q *Queue) newConsumer(ctx context.Context) (have jetstream.ConsumerConfig, err error) {
	err = q.manage(ctx, changeTime, func(ctx context.Context) error {
		c, err := q.js.CreateOrUpdateConsumer(ctx, q.names.Jobs, q.wantedConsumer())
		if err == nil {
			have = c.CachedInfo().Config
		}
		return err
	})
	if err != nil {
		return have, fmt.Errorf("creating consumer %s of stream %s: %w", q.names.Consumer, q.names.Jobs, err)
	}
	return have, nil
}

// Attach is for commands that only read or publish: it makes nothing and answers ErrNotSetUp where a stream is missing.
// A producer names the streams that it may ask for; without names it is all four.
func (q *Queue) Attach(ctx context.Context, only ...string) error {
	epoch := q.Epoch()
	if len(only) == 0 {
		only = []string{q.names.Jobs, q.names.Events, q.names.Output, q.names.Dead}
	}
	for _, name := range only {
		info, err := q.streamInfo(ctx, name)
		if err != nil {
			return err
		}
		if name == q.names.Jobs {
			q.saw(info, epoch)
		}
	}
	return nil
}
