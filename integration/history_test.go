package integration

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// event is one of the namespace's events, with the fields the documentation promises.
type event struct {
	Type    string    `json:"type"`
	Final   bool      `json:"final"`
	Session string    `json:"session"`
	Seq     uint64    `json:"seq"`
	Job     string    `json:"job"`
	Agent   string    `json:"agent"`
	Attempt int       `json:"attempt"`
	Fence   uint64    `json:"fence"`
	Worker  string    `json:"worker"`
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason"`
	Exit    *struct {
		Code   *int   `json:"code"`
		Signal string `json:"signal"`
	} `json:"exit"`
	Result *struct {
		Text      string `json:"text"`
		Truncated bool   `json:"truncated"`
	} `json:"result"`
	RetryInMS int64  `json:"retry_in_ms"`
	Purged    uint64 `json:"purged"`

	subject string
}

func readEvent(m *jetstream.RawStreamMsg) (event, error) {
	e := event{subject: m.Subject}
	err := json.Unmarshal(m.Data, &e)
	return e, err
}

func (e event) String() string {
	text := fmt.Sprintf("%s %s job %s seq %d attempt %d %s", e.At.Format("15:04:05.000"), e.Type, e.Job, e.Seq, e.Attempt, e.Outcome)
	if e.Final {
		text += " FINAL"
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// letter is a dead letter.
type letter struct {
	ID       uint64 // its sequence in the dead stream
	Subject  string
	Job      string
	Reason   string
	Outcome  string
	Attempts string
	Exit     string
	Stderr   string
	Header   map[string][]string
	Body     []byte
}

func readLetter(m *jetstream.RawStreamMsg) (letter, error) {
	l := letter{ID: m.Sequence, Subject: m.Subject, Header: m.Header, Body: m.Data}
	for key, into := range map[string]*string{
		"Curfew-Job": &l.Job, "Curfew-Dead-Reason": &l.Reason, "Curfew-Outcome": &l.Outcome,
		"Curfew-Attempts": &l.Attempts, "Curfew-Exit": &l.Exit, "Curfew-Stderr": &l.Stderr,
	} {
		*into = m.Header.Get(key)
	}
	text, err := base64.StdEncoding.DecodeString(l.Stderr)
	l.Stderr = string(text)
	return l, err
}

func (l letter) String() string {
	return fmt.Sprintf("%d on %s job %s %s after %s attempts, exit %q: %s", l.ID, l.Subject, l.Job, l.Outcome, l.Attempts, l.Exit, l.Reason)
}

// reel keeps what was read of a stream and reads on from there: it survives any restart of the server.
type reel[T any] struct {
	name, subject string
	read          func(*jetstream.RawStreamMsg) (T, error)
	stream        jetstream.Stream // nil: not found yet
	all           []T
	next          uint64
}

// wind reads what is new. A server that is away, or a stream that is not there yet, is nothing new.
func (r *reel[T]) wind(ctx context.Context, js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		if r.stream == nil {
			s, err := js.Stream(ctx, r.name)
			if err != nil {
				return nil //nolint:nilerr // not there yet
			}
			r.stream = s
		}
		m, err := r.stream.GetMsg(ctx, max(r.next, 1), jetstream.WithGetMsgSubject(r.subject))
		if err != nil {
			return nil //nolint:nilerr // the end, or away
		}
		one, err := r.read(m)
		if err != nil {
			return fmt.Errorf("%s message %d: %w: %q", r.name, m.Sequence, err, m.Data)
		}
		r.all, r.next = append(r.all, one), m.Sequence+1
	}
}

func (w *world) readEvents() []event {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NoError(w.t, w.events.wind(w.ctx(), w.js))
	return w.events.all
}

func (w *world) readLetters() []letter {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NoError(w.t, w.letters.wind(w.ctx(), w.js))
	return w.letters.all
}

func (w *world) lettersOf(j *job) []letter {
	w.t.Helper()
	var out []letter
	for _, l := range w.readLetters() {
		if l.Job == j.Name {
			out = append(out, l)
		}
	}
	return out
}

// rest is what is left on the servers.
type rest struct {
	Messages   uint64   // in the jobs stream
	Left       []string // the first of them, where they are few
	Pending    uint64   // not delivered yet, all consumers
	AckPending int      // delivered, neither acknowledged nor delivered again
	Locks      []string
	Wrong      []string // what cannot be read, or is not as promised
}

func (r rest) clean() bool {
	return r.Messages == 0 && r.Pending == 0 && r.AckPending == 0 && len(r.Locks) == 0 && len(r.Wrong) == 0
}

func (w *world) rest() rest {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx(), 5*time.Second)
	defer cancel()
	var r rest
	wrong := func(err error) rest {
		r.Wrong = append(r.Wrong, err.Error())
		return r
	}
	s, err := w.js.Stream(ctx, w.stream("JOBS"))
	if err != nil {
		return wrong(err)
	}
	info, err := s.Info(ctx)
	if err != nil {
		return wrong(err)
	}
	r.Messages = info.State.Msgs
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && len(r.Left) < 5 && r.Messages > 0 && r.Messages < 5; {
		m, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(">"))
		if err != nil {
			break
		}
		r.Left = append(r.Left, fmt.Sprintf("%d on %s of %s", m.Sequence, m.Subject, m.Time.Format("15:04:05.000")))
		seq = m.Sequence + 1
	}
	consumers, n := s.ListConsumers(ctx), 0
	for c := range consumers.Info() {
		n++
		r.Pending += c.NumPending
		r.AckPending += c.NumAckPending
	}
	if err := consumers.Err(); err != nil {
		return wrong(err)
	}
	if n == 0 {
		return wrong(errors.New("the jobs stream has no consumer"))
	}
	if r.Locks, err = w.stack.redis.keys(ctx, w.ns+":{*}:lock"); err != nil {
		return wrong(err)
	}
	// Whose turn it is to sweep is no session's lease: where its worker was killed or cut off it runs out in a minute.
	r.Locks = slices.DeleteFunc(r.Locks, func(key string) bool { return strings.Contains(key, ":{duty-") })
	return r
}
