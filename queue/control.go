package queue

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// Nudge tells the session's holder, if there is one, to read its record again. It is not stored and may be lost.
func (q *Queue) Nudge(session string) error {
	if !ValidSession(session) {
		return invalidf("session %+q is not a lower-case UUID", session)
	}
	if err := q.nc.Publish(q.names.ControlSubject(session), nil); err != nil {
		return fmt.Errorf("nudging the holder of session %s: %w", session, err)
	}
	return nil
}

// Nudges calls f, which must not block, for each nudge of any session, until stop is called.
func (q *Queue) Nudges(f func(session string)) (stop func(), err error) {
	return q.listen(q.names.AllControl, func(m *nats.Msg) {
		if session := sessionIn(q.names.AllControl, m.Subject); session != "" {
			f(session)
		}
	})
}

// NudgeFleet tells all workers to read whether the fleet is halted. It is not stored and may be lost. It answers once the
// server has it.
func (q *Queue) NudgeFleet(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := q.nc.Publish(q.names.FleetSubject(), nil); err != nil {
		return fmt.Errorf("telling the workers: %w", err)
	}
	if err := q.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("telling the workers: %w", err)
	}
	return nil
}

// FleetNudges calls f, which must not block, for each NudgeFleet, until stop is called.
func (q *Queue) FleetNudges(f func()) (stop func(), err error) {
	return q.listen(q.names.FleetSubject(), func(*nats.Msg) { f() })
}

// Arrivals calls f, which must not block, for each message published on the session's job subject, until stop is called.
// It is only news: some may be missed, the stream may have refused it or not have it yet. The server knows of it before any
// read that this queue sends after Arrivals returned, so nothing falls between such a read and the news.
func (q *Queue) Arrivals(session string, f func()) (stop func(), err error) {
	if !ValidSession(session) {
		return nil, invalidf("session %+q is not a lower-case UUID", session)
	}
	return q.listen(q.names.JobSubject(session), func(*nats.Msg) { f() })
}

func (q *Queue) listen(subject string, f func(*nats.Msg)) (stop func(), err error) {
	sub, err := q.nc.Subscribe(subject, f)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", subject, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// watchAdvisories raises the epoch when the jobs stream is deleted or created, whoever does it. Without the permission to
// listen there, such a change is noticed at the next refused request.
func (q *Queue) watchAdvisories() error {
	q.mu.Lock()
	again := q.watching
	q.watching = true
	q.mu.Unlock()
	if again {
		return nil
	}
	const prefix = "$JS.EVENT.ADVISORY.STREAM."
	_, err := q.listen(prefix+"*."+q.names.Jobs, func(m *nats.Msg) {
		switch action, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, prefix), "."); action {
		case "CREATED", "DELETED":
			q.raise()
		}
	})
	return err
}
