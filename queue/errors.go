package queue

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrNoMessage says that the message asked for is not (or no longer) in its stream.
	ErrNoMessage = errors.New("no such message")
	// ErrNotSetUp says that this namespace has no streams yet.
	ErrNotSetUp = errors.New("the streams of this namespace do not exist: start a worker or run `curfew setup`")
	// ErrBacklogFull says that a session has as many unfinished jobs as it may.
	ErrBacklogFull = errors.New("the session's backlog is full")
	// ErrStreamFull says that a stream reached the limit that all sessions share.
	ErrStreamFull = errors.New("the stream is full")
	// ErrDrained is what Hints.Next ends with after Hints.Drain.
	ErrDrained = errors.New("hints are drained")
	// ErrStop ends a reading without an error when the reader's callback returns it.
	ErrStop = errors.New("stop reading")
	// ErrOutputDropped says that a chunk was dropped because too many bytes wait for NATS already.
	ErrOutputDropped = errors.New("output dropped: too many bytes are waiting for NATS")
	// ErrDisconnected says that a message could not be acknowledged because NATS is away; it is delivered again after ack_wait.
	ErrDisconnected = errors.New("not connected to NATS")
)

// UnreachableError says that the NATS server could not be reached or refused the credentials.
type UnreachableError struct {
	Server string // host and port, never a user or password
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("NATS at %s cannot be reached: %v", e.Server, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// PermissionError says that the NATS server keeps this user from publishing or subscribing somewhere.
type PermissionError struct {
	Action  string // what the user wanted
	Subject string // as the server wrote it; its bytes come from a program of this namespace
}

func (e *PermissionError) Error() string {
	text := fmt.Sprintf("the NATS user may not %s %+q: give it that permission, or use another user (docs/operations.md lists what each role needs)", e.Action, e.Subject)
	if e.Action == subscribing && strings.HasPrefix(e.Subject, "_INBOX") {
		text += "; where a user has an inbox of its own, nats.inbox_prefix names it"
	}
	return text
}

// DifferError says that streams exist but are not as this configuration wants them.
type DifferError struct {
	Differences []string // each a sentence that names the stream, what is and what should be
}

func (e *DifferError) Error() string {
	return "the streams differ from the configuration (`curfew setup` changes them): " + strings.Join(e.Differences, "; ")
}

// TermsError says that the namespace agreed on other lease constants.
type TermsError struct {
	Agreed, Wanted Terms
}

func (e *TermsError) Error() string {
	return fmt.Sprintf("this namespace agreed on lease ttl %v and margin %v, this configuration says ttl %v and margin %v: "+
		"configure the agreed ones, or stop all workers and run `curfew setup` with the new ones",
		e.Agreed.TTL, e.Agreed.Margin, e.Wanted.TTL, e.Wanted.Margin)
}

// TooLargeError says that a job would not fit, counting body and headers, in bytes.
type TooLargeError struct {
	Size, Max int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the job has %d bytes, %d are allowed (the server's max_payload less %d, so that it can be buried): "+
		"put large inputs into a file and pass its name", e.Size, e.Max, reserveBytes)
}

// InvalidError says why a job cannot be understood. Reason quotes bytes from outside, so it is safe to log.
type InvalidError struct {
	Reason string
}

func (e *InvalidError) Error() string { return "invalid job: " + e.Reason }

func invalidf(format string, args ...any) *InvalidError {
	return &InvalidError{Reason: fmt.Sprintf(format, args...)}
}

// Terms are the lease constants that every worker of a namespace must share.
type Terms struct {
	TTL, Margin time.Duration
}
