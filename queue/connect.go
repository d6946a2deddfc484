package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sirupsen/logrus"
)

// reserveBytes is what a letter may be larger than its job: its own headers, and the tail of stderr in base64.
const reserveBytes = 16 << 10

// Queue is one namespace's streams over one connection. All its methods may be called by any number of goroutines.
type Queue struct {
	o     Options
	names Names
	nc    *nats.Conn
	js    jetstream.JetStream
	api   string // prefix of the JetStream API's subjects
	log   *logrus.Entry

	heals    atomic.Uint64
	standing atomic.Pointer[standing]
	terms    atomic.Pointer[Terms] // what Declare or Setup was given; nil: this process never makes streams
	healing  chan struct{}         // holds a token while somebody heals

	mu       sync.Mutex
	turned   chan struct{} // closed and replaced whenever the epoch rises
	watching bool          // advisories of the jobs stream are subscribed to

	events, output *outbox
	lookups        *lookups
	flights        flights
}

// Connect reaches the server, or fails within ctx (5 s at most per server) with an *UnreachableError. A connection that was lost later
// is sought again for ever. It declares nothing: see Declare and Attach.
func Connect(ctx context.Context, o Options) (*Queue, error) {
	o = withDefaults(o)
	names, err := NamesFor(o.Namespace)
	if err != nil {
		return nil, err
	}
	if o.Declare != DeclareAuto && o.Declare != DeclareNever {
		return nil, fmt.Errorf("declare is %+q, want %q or %q", o.Declare, DeclareAuto, DeclareNever)
	}
	q := &Queue{
		o: o, names: names, log: o.Log,
		healing: make(chan struct{}, 1),
		turned:  make(chan struct{}),
		lookups: newLookups(),
		flights: flights{all: map[*flight]struct{}{}},
	}
	server, err := hosts(o.URL)
	if err != nil {
		return nil, err
	}
	if err := q.dial(ctx); err != nil {
		return nil, &UnreachableError{Server: server, Err: err}
	}
	if err := q.open(); err != nil { //nolint:contextcheck // the outboxes outlive the connecting
		q.nc.Close()
		return nil, err
	}
	return q, nil
}

func withDefaults(o Options) Options {
	o.URL = cmp.Or(o.URL, nats.DefaultURL)
	o.Name = cmp.Or(o.Name, "curfew")
	o.Namespace = cmp.Or(o.Namespace, "curfew")
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.Backlog = cmp.Or(o.Backlog, 1000)
	o.AckWait = cmp.Or(o.AckWait, 30*time.Second)
	o.Declare = cmp.Or(o.Declare, DeclareAuto)
	o.window = cmp.Or(o.window, 10*time.Minute)
	if o.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		o.Log = logrus.NewEntry(silent)
	}
	return o
}

// hosts names the servers of a URL list without users, passwords and tokens. What it cannot read it does not repeat.
func hosts(list string) (string, error) {
	var out []string
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		if err != nil || u.Host == "" {
			return "", errors.New("the NATS url cannot be read: want nats://host:port, several separated by commas")
		}
		out = append(out, u.Host)
	}
	return strings.Join(out, ","), nil
}

func (q *Queue) dial(ctx context.Context, more ...nats.Option) error {
	opts, err := q.dialOptions()
	if err != nil {
		return err
	}
	opts = append(opts, more...)
	type dialled struct {
		nc  *nats.Conn
		err error
	}
	done := make(chan dialled, 1)
	go func() {
		nc, err := nats.Connect(q.o.URL, opts...)
		done <- dialled{nc, err}
	}()
	select {
	case d := <-done:
		q.nc = d.nc
		return d.err
	case <-ctx.Done():
		go func() {
			if d := <-done; d.nc != nil {
				d.nc.Close()
			}
		}()
		return context.Cause(ctx)
	}
}

func (q *Queue) dialOptions() ([]nats.Option, error) {
	o := q.o
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(5 * time.Second),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials that are being rotated must not end the connection
		nats.CustomReconnectDelay(reconnectDelay),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if !nc.IsClosed() { // by us
				q.log.WithError(err).Warn("NATS is away")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			q.log.WithField("server", nc.ConnectedAddr()).Info("NATS is back")
			q.flights.downed(nc.Stats().Reconnects)
			q.turn()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			log := q.log.WithError(err)
			if sub != nil {
				log = log.WithField("subject", fmt.Sprintf("%+q", sub.Subject))
			}
			log.Warn("NATS reports an error")
			if refused := permission(err); refused != nil && o.Refused != nil {
				o.Refused(refused)
			}
		}),
	}
	if o.User != "" || o.Password != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	}
	if o.Creds != "" {
		opts = append(opts, nats.UserCredentials(o.Creds))
	}
	if o.NKey != "" {
		key, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, fmt.Errorf("nkey file: %w", err)
		}
		opts = append(opts, key)
	}
	if o.TLS.CA != "" {
		opts = append(opts, nats.RootCAs(o.TLS.CA))
	}
	if o.TLS.Cert != "" || o.TLS.Key != "" {
		opts = append(opts, nats.ClientCert(o.TLS.Cert, o.TLS.Key))
	}
	if o.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	return opts, nil
}

// reconnectDelay starts short, so that a restarted server is found at once, and spreads a fleet over the later tries.
func reconnectDelay(attempts int) time.Duration {
	d := min(50*time.Millisecond<<min(attempts, 6), 2*time.Second)
	return d + rand.N(d/2+1) //nolint:gosec // jitter, not a secret
}

// speakJetStream chooses the subjects of the JetStream API.
func (q *Queue) speakJetStream() (err error) {
	q.api = "$JS.API."
	if q.o.Domain == "" {
		q.js, err = jetstream.New(q.nc)
	} else {
		q.api = "$JS." + q.o.Domain + ".API."
		q.js, err = jetstream.NewWithDomain(q.nc, q.o.Domain)
	}
	if err != nil {
		return fmt.Errorf("opening JetStream: %w", err)
	}
	return nil
}

func (q *Queue) open() (err error) {
	if err := q.speakJetStream(); err != nil {
		return err
	}
	if least := int64(LeastPayload); q.nc.MaxPayload() < least {
		return fmt.Errorf("the NATS server's max_payload is %d bytes, Curfew needs %d: raise it in the server's configuration", q.nc.MaxPayload(), least)
	}
	if q.events, err = newOutbox(q, "event", 4<<20, nil); err != nil {
		return err
	}
	q.output, err = newOutbox(q, "output", 16<<20, q.o.OutputLost)
	return err
}

// Close hands what Emit and WriteOutput still hold to the server, bounded by a second, and ends the connection.
func (q *Queue) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if q.Up() {
		_ = q.events.settled(ctx)
		_ = q.output.settled(ctx)
	}
	q.events.close()
	q.output.close()
	q.nc.Close()
}

// Conn is the connection, for the key-value bucket that package registry keeps.
func (q *Queue) Conn() *nats.Conn { return q.nc }

// Names answers the names of this namespace.
func (q *Queue) Names() Names { return q.names }

// Up tells whether the connection stands.
func (q *Queue) Up() bool { return q.nc.IsConnected() }

// Epoch rises with every reconnect and whenever the jobs stream was found changed or made anew: what was read in an
// earlier epoch may be about another stream.
func (q *Queue) Epoch() uint64 {
	return 1 + q.heals.Load() + q.nc.Stats().Reconnects
}

// MaxJobBytes is the largest job, headers and body together: the server's max_payload less 16 KiB, so that it can be buried.
func (q *Queue) MaxJobBytes() int { return int(q.nc.MaxPayload()) - reserveBytes }

// turn tells everybody who waits that the epoch rose.
func (q *Queue) turn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.turned)
	q.turned = make(chan struct{})
}

// turning is closed at the next rise of the epoch. Take it before reading the epoch.
func (q *Queue) turning() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.turned
}

// connected waits for a connection. Requests are not sent into the reconnect buffer: they would arrive at a server that
// may hold other streams by then.
func (q *Queue) connected(ctx context.Context) error {
	for {
		turned := q.turning()
		if q.nc.IsConnected() {
			return nil
		}
		if q.nc.IsClosed() {
			return nats.ErrConnectionClosed
		}
		if err := pause(ctx, turned, 100*time.Millisecond); err != nil {
			return fmt.Errorf("%w: %w", ErrDisconnected, err)
		}
	}
}

// pause waits for d, the event or the end of ctx, of which only the last is an error.
func pause(ctx context.Context, event <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-event:
	case <-timer.C:
	}
	return nil
}
