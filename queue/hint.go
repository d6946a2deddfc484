package queue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Hint is one delivery. Its message is as it was delivered: whether it still is the session's head, only a read tells.
// Its three answers may be given by any goroutine; the server takes the last one. None of them is fenced: after the lease is lost, give none.
type Hint struct {
	Message

	q     *Queue
	reply string
}

// hint makes a Hint of a delivery.
func (h *Hints) hint(m *nats.Msg) (*Hint, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("delivery on %+q: %w", m.Subject, err)
	}
	s := &stored{Subject: m.Subject, Seq: meta.Sequence.Stream, Time: meta.Timestamp.UTC(), Data: m.Data, header: Header(m.Header)}
	return &Hint{Message: *h.q.message(s, h.st), q: h.q, reply: m.Reply}, nil
}

// Ack ends the delivery, and removes the message where it still is in the stream. It is not confirmed: see Queue.Remove.
func (x *Hint) Ack() error { return x.answer("+ACK") }

// Nak gives the delivery back: it comes again, to anybody, after the delay, or at once for 0.
func (x *Hint) Nak(delay time.Duration) error {
	if delay <= 0 {
		return x.answer("-NAK")
	}
	return x.answer(`-NAK {"delay": ` + strconv.FormatInt(delay.Nanoseconds(), 10) + `}`)
}

// InProgress keeps the delivery for another AckWait.
func (x *Hint) InProgress() error { return x.answer("+WPI") }

// answer sends without waiting. An answer is never left in the reconnect buffer (ErrDisconnected), and after the epoch rose it is
// sent only to the stream that the delivery came from: elsewhere its sequence would be a stranger's.
func (x *Hint) answer(body string) error {
	if !x.q.Up() {
		return ErrDisconnected
	}
	if x.q.Epoch() != x.epoch {
		ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
		defer cancel()
		switch st, err := x.q.fresh(ctx); {
		case notSetUp(err) || err == nil && st.identity != x.identity:
			return nil // the message went with its stream
		case err != nil:
			return fmt.Errorf("answering a delivery: %w", err)
		}
	}
	if err := x.q.nc.Publish(x.reply, []byte(body)); err != nil {
		return fmt.Errorf("answering a delivery: %w", err)
	}
	return nil
}
