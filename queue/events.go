package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// envelope is kept free of an event's size for its headers.
const envelope = 1 << 10

func (q *Queue) eventMessage(e Event) (*nats.Msg, error) {
	body, err := e.encode(int(q.nc.MaxPayload()) - envelope)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return &nats.Msg{Subject: q.names.EventSubject(e.Session), Data: body, Header: nats.Header{}}, nil
}

// Emit publishes an event that may be lost. It never blocks; failures are logged. Events of one process keep their order,
// also before a later Final or Announce.
func (q *Queue) Emit(e Event) {
	m, err := q.eventMessage(e)
	if err == nil {
		err = q.events.put(false, m)
	}
	if err != nil {
		q.log.WithError(err).WithField("type", e.Type).Warn("event dropped")
	}
}

// Final publishes the one final event of the job and waits until it is stored. Calling it twice within the duplicate window (10 min) makes
// one event; again says that it may have been done before, perhaps longer ago: then it looks first.
func (q *Queue) Final(ctx context.Context, m *Message, e Event, again bool) error {
	e.Final = true
	d, err := q.eventMessage(e)
	if err != nil {
		return err
	}
	q.events.handOver(ctx)
	if err := q.sendLooking(ctx, q.names.Events, d, q.effectID(finalPrefix, m), again, m.Time); err != nil {
		return fmt.Errorf("publishing the final event of message %d: %w", m.Seq, err)
	}
	return nil
}

// Announce publishes an event of the session itself and waits until it is stored. id makes it one within the duplicate
// window (10 min); "" does not.
func (q *Queue) Announce(ctx context.Context, id string, e Event) error {
	d, err := q.eventMessage(e)
	if err != nil {
		return err
	}
	q.events.handOver(ctx)
	if _, err := q.send(ctx, q.names.Events, d, id); err != nil {
		return fmt.Errorf("publishing event %q of session %s: %w", e.Type, e.Session, err)
	}
	return nil
}

// Events calls each for every event of the session ("" for all, "invalid" for jobs that named none) since then, in order.
// It returns at the end of the stream, or, with follow, when ctx ends, then without an error; following goes on over restarts of the server.
// ErrStop from each ends it without an error.
func (q *Queue) Events(ctx context.Context, session string, since time.Time, follow bool, each func(Event) error) error {
	subject, err := target(q.names.AllEvents, session)
	if err != nil {
		return err
	}
	return q.scan(ctx, q.names.Events, subject, since, follow, func(s *stored) error {
		var e Event
		if err := json.Unmarshal(s.Data, &e); err != nil {
			q.log.WithError(err).WithField("seq", s.Seq).Warn("an event cannot be read")
			return nil
		}
		return each(e)
	})
}
