package queue

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// node is one embedded nats-server that can be stopped and started again on the same port and store.
type node struct {
	opts server.Options
	s    *server.Server
}

func startNode(t *testing.T, change ...func(*server.Options)) *node {
	t.Helper()
	n := &node{opts: server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		JetStreamMaxStore: 16 << 30,
	}}
	for _, f := range change {
		f(&n.opts)
	}
	n.start(t)
	t.Cleanup(func() { n.stop() })
	return n
}

func (n *node) start(t *testing.T) {
	t.Helper()
	o := n.opts
	s, err := server.NewServer(&o)
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(10*time.Second))
	n.s = s
	if n.opts.Port == -1 {
		addr, ok := s.Addr().(*net.TCPAddr)
		require.True(t, ok)
		n.opts.Port = addr.Port
	}
}

func (n *node) stop() {
	n.s.Shutdown()
	n.s.WaitForShutdown()
}

func (n *node) url() string { return n.s.ClientURL() }

func terms() Terms { return Terms{TTL: 15 * time.Second, Margin: 2 * time.Second} }

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, n *node, change ...func(*Options)) *Queue {
	t.Helper()
	o := Options{URL: n.url()}
	if testing.Verbose() {
		log := logrus.New()
		log.SetOutput(testWriter{t})
		o.Log = logrus.NewEntry(log).WithField("test", t.Name())
	}
	for _, f := range change {
		f(&o)
	}
	q, err := Connect(within(t, 60*time.Second), o)
	require.NoError(t, err)
	t.Cleanup(q.Close)
	return q
}

// declared is a connected queue with its streams.
func declared(t *testing.T, n *node, change ...func(*Options)) *Queue {
	t.Helper()
	q := connect(t, n, change...)
	require.NoError(t, q.Declare(within(t, 60*time.Second), terms()))
	return q
}

func newSession() string { return uuid.NewString() }

func publish(t *testing.T, q *Queue, j NewJob) Published {
	t.Helper()
	p, err := q.Publish(within(t, 60*time.Second), j)
	require.NoError(t, err)
	return p
}

// raw publishes as any NATS client could and waits until it is stored.
func raw(t *testing.T, q *Queue, subject string, h nats.Header, body string) uint64 {
	t.Helper()
	ack, err := q.js.PublishMsg(within(t, 60*time.Second), &nats.Msg{Subject: subject, Header: h, Data: []byte(body)})
	require.NoError(t, err)
	return ack.Sequence
}

func hints(t *testing.T, q *Queue) *Hints {
	t.Helper()
	h, err := q.Hints(within(t, 60*time.Second))
	require.NoError(t, err)
	return h
}

func next(t *testing.T, h *Hints, d time.Duration) *Hint {
	t.Helper()
	x, err := h.Next(within(t, d))
	require.NoError(t, err)
	return x
}

func head(t *testing.T, q *Queue, session string) *Message {
	t.Helper()
	m, err := q.Head(within(t, 60*time.Second), session, 0)
	require.NoError(t, err)
	return m
}

func letters(t *testing.T, q *Queue, f DeadFilter) (all []DeadLetter) {
	t.Helper()
	require.NoError(t, q.DeadLetters(within(t, 60*time.Second), f, func(d DeadLetter) error {
		all = append(all, d)
		return nil
	}))
	return all
}

func events(t *testing.T, q *Queue, session string) (all []Event) {
	t.Helper()
	require.NoError(t, q.Events(within(t, 30*time.Second), session, time.Time{}, false, func(e Event) error {
		all = append(all, e)
		return nil
	}))
	return all
}

// testWriter logs into the test as long as it runs.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(string(p))
	}
	return len(p), nil
}

// counted is a callback's count that a test can wait for.
type counted struct{ n atomic.Int64 }

func (c *counted) reaches(t *testing.T, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return c.n.Load() >= n }, 60*time.Second, 2*time.Millisecond)
}
