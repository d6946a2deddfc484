package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// job is one that was published, and what shall become of it.
type job struct {
	Subject string
	Session string // as the subject names it, valid or not
	Header  nats.Header
	Body    []byte

	Name string // as events and environment call it: its id, else its sequence
	Seq  uint64
	At   time.Time // when the publish was acknowledged

	Want    []string // outcomes that are right
	Seqname bool     // its id cannot be used, so its sequence is its name
	NoRun   bool     // no subprocess may ever be started for it
	Repeat  bool     // it may succeed more than once: its worker is killed, or its lease lost
}

type jobOption func(*job)

func newSession() string { return uuid.NewString() }

// wants says which outcomes are right; without it a job must succeed.
func wants(outcomes ...string) jobOption { return func(j *job) { j.Want = outcomes } }

// neverRuns says how a job ends that must not be started at all.
func neverRuns(outcomes ...string) jobOption {
	return func(j *job) { j.Want, j.NoRun = outcomes, true }
}

// repeatable allows a second success: the first may die with its worker before it was recorded.
func repeatable() jobOption { return func(j *job) { j.Repeat = true } }

func header(key string, values ...string) jobOption {
	return func(j *job) { j.Header[key] = values }
}

func forAgent(name string) jobOption       { return header("Curfew-Agent", name) }
func conflict(policy string) jobOption     { return header("Curfew-Conflict", policy) }
func createdAgo(d time.Duration) jobOption { return createdAt(time.Now().Add(-d)) }
func createdAt(t time.Time) jobOption {
	return header("Curfew-Created-At", t.UTC().Format(time.RFC3339Nano))
}
func withoutID() jobOption       { return func(j *job) { delete(j.Header, nats.MsgIdHdr) } }
func withID(id string) jobOption { return header(nats.MsgIdHdr, id) }

// namedBySeq says that the job's own id cannot be used.
func namedBySeq() jobOption { return func(j *job) { j.Seqname = true } }

func rawBody(body []byte) jobOption { return func(j *job) { j.Body = body } }
func (j *job) hash() string         { s := sha256.Sum256(j.Body); return hex.EncodeToString(s[:]) }
func (j *job) message() *nats.Msg {
	return &nats.Msg{Subject: j.Subject, Header: j.Header, Data: j.Body}
}
func (w *world) jobSubject(s string) string { return w.ns + ".jobs." + s }

// job prepares one: a script for the witness, an id of its own, to succeed.
func (w *world) job(session, text string, options ...jobOption) *job {
	j := &job{Session: session, Subject: w.jobSubject(session), Header: nats.Header{}, Body: []byte(text), Want: []string{"succeeded"}}
	j.Header.Set(nats.MsgIdHdr, fmt.Sprintf("%s:%s", session, strings.ReplaceAll(uuid.NewString()[:13], "-", "")))
	for _, o := range options {
		o(j)
	}
	return j
}

// publish sends a job and waits for the stream's word. Its place among the session's jobs is the order of these calls.
func (w *world) publish(session, text string, options ...jobOption) *job {
	w.t.Helper()
	j := w.job(session, text, options...)
	require.NoError(w.t, w.send(j))
	return j
}

// send tries for as long as NATS is away: the id makes that safe. A refusal by the stream is answered.
func (w *world) send(j *job) error {
	ctx, cancel := context.WithTimeout(w.ctx(), patience)
	defer cancel()
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second) // a request that a dying server took is never answered
		ack, err := w.js.PublishMsg(try, j.message())
		cancel()
		if err == nil {
			w.accept(j, ack.Sequence)
			return nil
		}
		away := errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded) ||
			errors.Is(err, nats.ErrConnectionReconnecting) || errors.Is(err, nats.ErrDisconnected) || strings.Contains(err.Error(), "no response")
		if !away || ctx.Err() != nil || j.Header.Get(nats.MsgIdHdr) == "" {
			return fmt.Errorf("publish %s: %w", j.Subject, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
}

// accept notes a job that the stream has taken.
func (w *world) accept(j *job, seq uint64) {
	j.Seq, j.At = seq, time.Now()
	if j.Name == "" {
		if j.Name = j.Header.Get(nats.MsgIdHdr); j.Name == "" || j.Seqname {
			j.Name = fmt.Sprint(seq)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs = append(w.jobs, j)
}
