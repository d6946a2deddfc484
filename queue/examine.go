package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrCredentials says that the server refused the user, password or key.
	ErrCredentials = errors.New("the server refuses these credentials")
	// ErrNoJetStream says that JetStream is off, in the server or for this account.
	ErrNoJetStream = errors.New("JetStream is not enabled")
)

// LeastPayload is the smallest max_payload of a server that Curfew works with.
const LeastPayload = 4 * reserveBytes

// Examination is a connection that asks whether a worker would have all it needs. It makes and changes nothing.
type Examination struct {
	q      *Queue
	server string
}

// Examine connects once, without trying again; errors are *UnreachableError, with ErrCredentials in it where that is the cause.
func Examine(ctx context.Context, o Options) (*Examination, error) {
	o = withDefaults(o)
	o.Declare = DeclareNever
	names, err := NamesFor(o.Namespace)
	if err != nil {
		return nil, err
	}
	server, err := hosts(o.URL)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		o: o, names: names, log: o.Log, lookups: newLookups(),
		healing: make(chan struct{}, 1), turned: make(chan struct{}),
		flights: flights{all: map[*flight]struct{}{}},
	}
	err = q.dial(ctx, nats.NoReconnect())
	if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) {
		err = fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	if err != nil {
		return nil, &UnreachableError{Server: server, Err: err}
	}
	if err := q.speakJetStream(); err != nil {
		q.nc.Close()
		return nil, err
	}
	return &Examination{q: q, server: server}, nil
}

// Close ends the connection.
func (x *Examination) Close() { x.q.nc.Close() }

// Server is the address and the version of the server.
func (x *Examination) Server() string {
	return x.server + ", nats-server " + x.q.nc.ConnectedServerVersion()
}

// Conn is the connection, for the records.
func (x *Examination) Conn() *nats.Conn { return x.q.nc }

// MaxPayload is the largest message that the server takes, in bytes.
func (x *Examination) MaxPayload() int64 { return x.q.nc.MaxPayload() }

// LargestJob is what of MaxPayload a job may have.
func (x *Examination) LargestJob() int { return x.q.MaxJobBytes() }

// JetStream answers nil where JetStream answers, ErrNoJetStream where it is off.
func (x *Examination) JetStream(ctx context.Context) error {
	_, err := x.clock(ctx)
	switch {
	case errors.Is(err, ErrNotSetUp):
		return nil
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return ErrNoJetStream
	case apiCode(err) == jetstream.JSErrCodeJetStreamNotEnabled, apiCode(err) == jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return ErrNoJetStream
	}
	return err
}

// Compare answers nil where streams and consumer are as the configuration wants them, else what Declare would with
// DeclareNever: ErrNotSetUp, *TermsError, *DifferError.
func (x *Examination) Compare(ctx context.Context, t Terms) error {
	if err := t.validate(); err != nil {
		return err
	}
	_, err := x.q.declare(ctx, t)
	return err
}

type clockAnswer struct {
	reply
	At time.Time `json:"ts"`
}

type serverAnswer struct {
	Server struct {
		At time.Time `json:"time"`
	} `json:"server"`
}

func (*serverAnswer) failure() error { return nil }

// Clock answers what the server's clock shows. Its place in time is between the call and the return.
func (x *Examination) Clock(ctx context.Context) (time.Time, error) {
	at, err := x.clock(ctx)
	if !errors.Is(err, ErrNotSetUp) {
		return at, err
	}
	var got serverAnswer
	if err := x.q.askSubject(ctx, "$SYS.REQ.USER.INFO", struct{}{}, &got); err != nil {
		return time.Time{}, err
	}
	if got.Server.At.IsZero() {
		return time.Time{}, errors.New("this server does not tell its time before the streams exist")
	}
	return got.Server.At, nil
}

func (x *Examination) clock(ctx context.Context) (time.Time, error) {
	var got clockAnswer
	err := x.q.ask(ctx, "STREAM.INFO."+x.q.names.Jobs, struct{}{}, &got)
	if apiCode(err) == jetstream.JSErrCodeStreamNotFound {
		err = ErrNotSetUp
	}
	if err == nil && got.At.IsZero() {
		err = errors.New("this server does not tell its time: a newer one would")
	}
	return got.At, err
}

// Denial is something that a worker must be allowed to do and that these credentials are not.
type Denial struct {
	Publish bool // else to subscribe
	Subject string
}

func (d Denial) String() string {
	if d.Publish {
		return fmt.Sprintf("publish to %q", d.Subject)
	}
	return fmt.Sprintf("subscribe to %q", d.Subject)
}

// Denied tries everything that a worker publishes and subscribes to, as the server checks it, in a way that changes nothing:
// for a session that nobody has, and with conditions that no stream fulfils. Who listens to events without the stream sees
// an empty one. It connects once more: what the server refuses is told as the connection's last error, which another
// examination at work on the same connection would overwrite.
func (x *Examination) Denied(ctx context.Context) ([]Denial, error) {
	own, err := Examine(ctx, x.q.o)
	if err != nil {
		return nil, err
	}
	defer own.Close()
	return own.denied(ctx)
}

func (x *Examination) denied(ctx context.Context) (denied []Denial, err error) {
	for _, subject := range x.listens() {
		sub, err := x.q.nc.SubscribeSync(subject)
		if err != nil {
			return denied, fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		refused, err := x.refused(ctx, subject)
		_ = sub.Unsubscribe()
		if err != nil {
			return denied, err
		}
		if refused {
			denied = append(denied, Denial{Subject: subject})
		}
	}
	for _, m := range x.sends() {
		if err := x.q.nc.PublishMsg(m); err != nil {
			return denied, fmt.Errorf("publish to %s: %w", m.Subject, err)
		}
		refused, err := x.refused(ctx, m.Subject)
		if err != nil {
			return denied, err
		}
		if refused {
			denied = append(denied, Denial{Publish: true, Subject: m.Subject})
		}
	}
	return denied, nil
}

// refused tells whether the server has refused what was just sent: it says so before it answers the flush.
func (x *Examination) refused(ctx context.Context, subject string) (bool, error) {
	if err := x.q.nc.FlushWithContext(ctx); err != nil {
		return false, fmt.Errorf("ask whether %s is allowed: %w", subject, err)
	}
	last := x.q.nc.LastError()
	return errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(last.Error(), `"`+subject+`"`), nil
}

// listens are the subjects that a worker subscribes to.
func (x *Examination) listens() []string {
	n := x.q.names
	return []string{
		x.q.nc.NewInbox() + ".*", // answers
		n.AllControl, n.FleetSubject(), n.RollSubject(),
		n.JobSubject(uuid.NewString()), // a session's own, while one of its runs is live
	}
}

// sends are messages to everything that a worker publishes to.
func (x *Examination) sends() (all []*nats.Msg) {
	n, nobody := x.q.names, uuid.NewString()
	add := func(subject, body string, h nats.Header) {
		all = append(all, &nats.Msg{Subject: subject, Reply: x.q.nc.NewInbox(), Data: []byte(body), Header: h}) // nobody listens
	}
	// No stream goes by this name, so none stores these.
	nowhere := nats.Header{jetstream.ExpectedStreamHeader: {"curfew-doctor"}}
	for _, subject := range []string{
		n.WakeSubject(nobody), n.EventSubject(nobody), n.OutputSubject(nobody), n.DeadSubject(nobody), "$KV." + n.Sessions + "." + nobody,
	} {
		add(subject, "", nowhere)
	}
	add(n.ControlSubject(nobody), "", nil) // a nudge that concerns nobody
	// Says of no delivery that it is still worked on.
	add("$JS.ACK."+n.Jobs+"."+n.Consumer+".1.0.0.0.0", "+WPI", nil)
	missing := `{"seq":18446744073709551615}` // never a message's
	for _, c := range []struct{ op, body string }{
		{"STREAM.INFO." + n.Jobs, ""},
		{"STREAM.INFO." + n.Events, ""},
		{"STREAM.INFO." + n.Output, ""},
		{"STREAM.INFO." + n.Dead, ""},
		{"STREAM.INFO.KV_" + n.Sessions, ""},
		{"STREAM.MSG.GET." + n.Jobs, missing},
		{"STREAM.MSG.GET." + n.Events, missing},
		{"STREAM.MSG.GET." + n.Dead, missing},
		{"STREAM.MSG.GET.KV_" + n.Sessions, missing},
		{"STREAM.MSG.DELETE." + n.Jobs, missing},
		{"CONSUMER.INFO." + n.Jobs + "." + n.Consumer, ""},
		{"CONSUMER.MSG.NEXT." + n.Jobs + "." + n.Consumer, "no pull"},
		{"CONSUMER.CREATE.KV_" + n.Sessions + ".doctor.$KV." + n.Sessions + ".>", "no consumer"},
		{"CONSUMER.DELETE.KV_" + n.Sessions + ".doctor", ""},
		{"DIRECT.GET.KV_" + n.Sessions + ".$KV." + n.Sessions + "." + nobody, ""},
	} {
		add(x.q.api+c.op, c.body, nil)
	}
	return all
}
