package queue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Setup makes what is missing (whatever Options.Declare says: asking for it is leave enough), changes what differs, the
// agreed lease terms included, and answers in words what it did. A setting of a stream that cannot be changed is an
// error that says what to do; everything else was changed then.
func (q *Queue) Setup(ctx context.Context, t Terms) (did []string, err error) {
	if err := t.validate(); err != nil {
		return nil, err
	}
	epoch := q.Epoch()
	var stuck []string
	for i, want := range q.wantedStreams(t) {
		info, created, err := q.streamOrNew(ctx, want, true)
		if err != nil {
			return did, err
		}
		if created {
			did = append(did, "stream "+want.Name+": created")
		}
		changed, fixed, err := q.changeStream(ctx, info.Config, want, i == 0)
		if err != nil {
			return did, err
		}
		did, stuck = append(did, changed...), append(stuck, fixed...)
		if i == 0 {
			q.saw(info, epoch)
		}
	}
	changed, err := q.setupConsumer(ctx)
	if did = append(did, changed...); err != nil {
		return did, err
	}
	if len(stuck) > 0 {
		return did, fmt.Errorf("%w: this cannot be changed in place: let the jobs finish, save what is to be kept, "+
			"delete the stream (`nats stream rm`) and run `curfew setup` again", &DifferError{Differences: stuck})
	}
	q.terms.Store(&t)
	return did, nil
}

func (q *Queue) changeStream(ctx context.Context, have, want jetstream.StreamConfig, jobs bool) (did, fixed []string, err error) {
	what := "stream " + want.Name
	did, fixed = differences(what, streamSettings(), &have, want)
	if agreed, ok := termsIn(have.Metadata); jobs && (!ok || !maps.Equal(agreed.metadata(), want.Metadata)) {
		did = append(did, fmt.Sprintf("%s: lease ttl and margin are %v and %v, should be %s and %s",
			what, agreed.TTL, agreed.Margin, want.Metadata[ttlKey], want.Metadata[marginKey]))
		have.Metadata = maps.Clone(have.Metadata) // others may keep theirs beside ours
		if have.Metadata == nil {
			have.Metadata = map[string]string{}
		}
		maps.Copy(have.Metadata, want.Metadata)
	}
	if len(did) == len(fixed) {
		return nil, fixed, nil
	}
	err = q.manage(ctx, changeTime, func(ctx context.Context) error {
		_, err := q.js.UpdateStream(ctx, have)
		return err
	})
	if err != nil {
		return nil, fixed, fmt.Errorf("changing %s (%s): %w", what, strings.Join(did, "; "), err)
	}
	return without(did, fixed), fixed, nil
}

func (q *Queue) setupConsumer(ctx context.Context) (did []string, err error) {
	have, created, err := q.consumerOrNew(ctx, true)
	if err != nil {
		return nil, err
	}
	what := "consumer " + q.names.Consumer
	if created {
		return []string{what + ": created"}, nil
	}
	did, fixed := differences(what, consumerSettings(), &have, q.wantedConsumer())
	if len(did) == 0 {
		return nil, nil
	}
	if len(fixed) > 0 {
		err := q.manage(ctx, changeTime, func(ctx context.Context) error {
			return q.js.DeleteConsumer(ctx, q.names.Jobs, q.names.Consumer)
		})
		if err != nil && apiCode(err) != jetstream.JSErrCodeConsumerNotFound {
			return nil, fmt.Errorf("deleting %s to make it anew: %w", what, err)
		}
		did = append(did, what+": made anew")
	}
	if _, err := q.newConsumer(ctx); err != nil {
		return nil, err
	}
	return did, nil
}

// without answers the sentences that are not among those left out.
func without(all, out []string) []string {
	var rest []string
	for _, one := range all {
		if !slices.Contains(out, one) {
			rest = append(rest, strings.Replace(one, ", should be ", ", now ", 1))
		}
	}
	return rest
}
