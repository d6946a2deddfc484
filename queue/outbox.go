package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// outbox publishes without ever making its callers wait: they put into a bounded queue, one goroutine hands it to the
// connection, which may block on a slow network, and answers of the server free the room.
type outbox struct {
	q     *Queue
	kind  string          // for the log
	limit int             // bytes in queue and unanswered at most
	lost  func(bytes int) // told of what was taken and then not stored; nil: nobody. It must return at once
	js    jetstream.JetStream
	news  chan struct{} // buffered: one token after queue or shut changed
	ended chan struct{} // closed by the goroutine
	stop  chan struct{} // closed by close

	mu     sync.Mutex
	queue  []*nats.Msg
	bytes  int    // of queue and unanswered
	put64  uint64 // messages put so far
	handed uint64 // messages handed to the connection so far
	waits  []chan struct{}
	failed int // since the last log line
	logged time.Time
	shut   bool
}

// perMessage is what a message counts for beyond its body.
const perMessage = 256

func newOutbox(q *Queue, kind string, limit int, lost func(bytes int)) (b *outbox, err error) {
	b = &outbox{
		q: q, kind: kind, limit: limit, lost: lost,
		news: make(chan struct{}, 1), ended: make(chan struct{}), stop: make(chan struct{}),
	}
	opts := []jetstream.JetStreamOpt{
		jetstream.WithPublishAsyncMaxPending(16 << 10),
		jetstream.WithPublishAsyncTimeout(10 * time.Second),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) { b.answered(m, nil) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { b.answered(m, err) }),
	}
	if q.o.Domain == "" {
		b.js, err = jetstream.New(q.nc, opts...)
	} else {
		b.js, err = jetstream.NewWithDomain(q.nc, q.o.Domain, opts...)
	}
	if err != nil {
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	go b.run()
	return b, nil
}

// put takes all of the messages or none. anyway: also beyond the limit.
func (b *outbox) put(anyway bool, ms ...*nats.Msg) error {
	size := 0
	for _, m := range ms {
		size += len(m.Data) + perMessage
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut || b.bytes+size > b.limit && !anyway {
		return ErrOutputDropped
	}
	b.queue = append(b.queue, ms...)
	b.bytes += size
	b.put64 += uint64(len(ms))
	token(b.news)
	return nil
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run hands the queue over, in order, while there is a connection.
func (b *outbox) run() {
	defer close(b.ended)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-b.stop:
			cancel()
		case <-b.ended:
		}
	}()
	for ctx.Err() == nil {
		m := b.next()
		if m == nil {
			select {
			case <-b.news:
			case <-ctx.Done():
			}
			continue
		}
		err := b.q.connected(ctx)
		if err == nil {
			_, err = b.js.PublishMsgAsync(m)
		}
		b.mu.Lock()
		b.handed++
		b.wake()
		b.mu.Unlock()
		if err != nil {
			b.answered(m, err)
		}
	}
}

func (b *outbox) next() *nats.Msg {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.queue = nil // let go of a burst's memory
		return nil
	}
	m := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	return m
}

// answered frees a message's room. Failures are logged once in a while, not each.
func (b *outbox) answered(m *nats.Msg, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= len(m.Data) + perMessage
	b.wake()
	if err == nil {
		return
	}
	if b.lost != nil && m.Header.Get(markHeader) == "" {
		b.lost(len(m.Data))
	}
	b.failed++
	if time.Since(b.logged) < 10*time.Second {
		return
	}
	b.q.log.WithError(err).WithField("lost", b.failed).Warn(b.kind + " not stored")
	b.failed, b.logged = 0, time.Now()
}

// wake lets those who wait look again; the caller holds mu.
func (b *outbox) wake() {
	for _, w := range b.waits {
		close(w)
	}
	b.waits = nil
}

// await waits until ready, which is called with mu held, answers true.
func (b *outbox) await(ctx context.Context, ready func() bool) error {
	for {
		b.mu.Lock()
		if ready() {
			b.mu.Unlock()
			return nil
		}
		w := make(chan struct{})
		b.waits = append(b.waits, w)
		b.mu.Unlock()
		select {
		case <-w:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// handOver waits, a second at most, until all that was put before lies in the connection, so that what is published next comes after it.
func (b *outbox) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	b.mu.Lock()
	upTo := b.put64
	b.mu.Unlock()
	_ = b.await(ctx, func() bool { return b.handed >= upTo })
}

// settled waits until all that was put was answered.
func (b *outbox) settled(ctx context.Context) error {
	return b.await(ctx, func() bool { return b.bytes == 0 })
}

// close ends the goroutine; what was not handed over is lost.
func (b *outbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shut {
		b.shut = true
		close(b.stop)
	}
}
