package queue

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// clockSlack is how far the clocks of two streams' leaders may differ.
const clockSlack = time.Minute

// lookups remembers what was already looked through, for a session whose thousand jobs are buried one by one after a
// crash: each look goes on where the last one ended.
type lookups struct {
	mu sync.Mutex
	by map[string]*looked // by subject
}

type looked struct {
	since   time.Time
	through uint64 // sequence
	ids     map[string]bool
}

// maxLookups bounds the subjects remembered.
const maxLookups = 16

func newLookups() *lookups { return &lookups{by: map[string]*looked{}} }

// sendLooking publishes with an id that the stream knows for its duplicate window; with again it looks first whether the message is
// there, for the window may be over. since is when it can have been published first.
func (q *Queue) sendLooking(ctx context.Context, stream string, m *nats.Msg, id string, again bool, since time.Time) error {
	if again {
		found, err := q.sent(ctx, stream, m.Subject, id, since.Add(-clockSlack))
		if err != nil || found {
			return err
		}
	}
	_, err := q.send(ctx, stream, m, id)
	return err
}

// sent tells whether a message with this id was stored on the subject since then.
func (q *Queue) sent(ctx context.Context, stream, subject, id string, since time.Time) (bool, error) {
	// The usual case first: nothing at all happened there since.
	last, err := q.find(ctx, stream, lookup{Last: subject})
	if errors.Is(err, ErrNoMessage) || notSetUp(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if last.Time.Before(since) {
		return false, nil
	}
	q.lookups.mu.Lock()
	defer q.lookups.mu.Unlock() // one look at a time: they are rare
	k := q.lookups.by[subject]
	if k == nil || since.Before(k.since) || last.Seq < k.through {
		from, err := q.seqAt(ctx, stream, since)
		if err != nil {
			return false, err
		}
		k = &looked{since: since, through: from - 1, ids: map[string]bool{}}
	}
	err = q.walk(ctx, stream, subject, k.through+1, func(s *stored) error {
		k.through = s.Seq
		if id := s.header.first(jetstream.MsgIDHeader); strings.HasPrefix(id, deadPrefix) || strings.HasPrefix(id, finalPrefix) {
			k.ids[id] = true
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if len(q.lookups.by) >= maxLookups {
		clear(q.lookups.by)
	}
	q.lookups.by[subject] = k
	return k.ids[id], nil
}

// walk reads the subject's messages one by one from a sequence on, up to the end of the stream.
func (q *Queue) walk(ctx context.Context, stream, subject string, from uint64, each func(*stored) error) error {
	for {
		s, err := q.find(ctx, stream, lookup{Seq: max(from, 1), Next: subject})
		if errors.Is(err, ErrNoMessage) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(s); err != nil {
			return err
		}
		from = s.Seq + 1
	}
}

// seqAt answers the lowest sequence whose message was stored at t or later (one past the last where there is none), by
// halving: streams are in the order of time.
func (q *Queue) seqAt(ctx context.Context, stream string, t time.Time) (uint64, error) {
	info, err := q.streamInfo(ctx, stream)
	if err != nil {
		return 0, err
	}
	low, high := max(info.State.FirstSeq, 1), info.State.LastSeq+1
	if !t.After(info.State.FirstTime) {
		return low, nil
	}
	for low < high {
		middle := low + (high-low)/2
		switch s, err := q.find(ctx, stream, lookup{Seq: middle, Next: ">"}); {
		case errors.Is(err, ErrNoMessage):
			high = middle
		case err != nil:
			return 0, err
		case s.Time.Before(t):
			low = s.Seq + 1
		default:
			high = middle
		}
	}
	return low, nil
}
