package queue

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"
)

var (
	jobIDPattern       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)
	traceparentPattern = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
)

// Conflict says what a job does when its session has an older unfinished one.
type Conflict string

// The conflict policies; a job that names none has ConflictQueue.
const (
	ConflictQueue   Conflict = "queue"   // wait for one's turn
	ConflictReplace Conflict = "replace" // end the older ones first
	ConflictReject  Conflict = "reject"  // be buried when one is running as this one arrives
)

// Job is a message of the jobs stream as understood.
type Job struct {
	Session     string // "" only beside an error
	Seq         uint64
	ID          string // the producer's Nats-Msg-Id, else the sequence
	Agent       string // "": the session's
	Conflict    Conflict
	Timeout     time.Duration // 0: none; it can only shorten the agent's
	CreatedAt   time.Time     // zero: none; it can only make the session older
	Time        time.Time     // when the stream took it
	Traceparent string        // "" also where it was not a W3C trace context
	Body        []byte
}

const (
	agentHeader       = "Curfew-Agent"
	conflictHeader    = "Curfew-Conflict"
	timeoutHeader     = "Curfew-Timeout"
	createdAtHeader   = "Curfew-Created-At"
	traceparentHeader = "traceparent"
	curfewPrefix      = "curfew-"
	natsPrefix        = "nats-"
)

// jobHeaders: each of a producer's Curfew-* headers in lower case, and how it is read.
func jobHeaders() map[string]func(j *Job, value string) *InvalidError {
	return map[string]func(*Job, string) *InvalidError{
		strings.ToLower(agentHeader): func(j *Job, v string) *InvalidError {
			if !agentName(v) {
				return invalidf("header %s: %+q is no agent's name", agentHeader, v)
			}
			j.Agent = v
			return nil
		},
		strings.ToLower(conflictHeader): func(j *Job, v string) *InvalidError {
			switch c := Conflict(v); c {
			case ConflictQueue, ConflictReplace, ConflictReject:
				j.Conflict = c
				return nil
			}
			return invalidf("header %s: %+q is none of queue, replace, reject", conflictHeader, v)
		},
		strings.ToLower(timeoutHeader): func(j *Job, v string) *InvalidError {
			d, err := time.ParseDuration(v)
			if err != nil || d <= 0 {
				return invalidf("header %s: %+q is no positive duration such as 90s", timeoutHeader, v)
			}
			j.Timeout = d
			return nil
		},
		strings.ToLower(createdAtHeader): func(j *Job, v string) *InvalidError {
			t, err := time.Parse(time.RFC3339, v)
			if err != nil {
				return invalidf("header %s: %+q is no RFC 3339 time such as 2006-01-02T15:04:05Z", createdAtHeader, v)
			}
			j.CreatedAt = t
			return nil
		},
	}
}

// agentName: any name that is safe in a log line and an event.
func agentName(s string) bool {
	if s == "" || len(s) > 128 || !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// ParseJob reads a message's headers, their names without case. On an *InvalidError the Job still has Session, Seq, Time,
// Body and an ID that is safe to use: its sequence where the given one is not.
func ParseJob(m *Message) (Job, error) {
	j := Job{
		Session: m.Session, Seq: m.Seq, Time: m.Time, Body: m.Body,
		ID: strconv.FormatUint(m.Seq, 10), Conflict: ConflictQueue,
	}
	var wrong *InvalidError
	note := func(e *InvalidError) {
		if wrong == nil {
			wrong = e
		}
	}
	switch ids := m.Header.values(jetstream.MsgIDHeader); {
	case len(ids) > 1:
		note(invalidf("header %s is given %d times", jetstream.MsgIDHeader, len(ids)))
	case len(ids) == 1 && ids[0] != "":
		if jobIDPattern.MatchString(ids[0]) {
			j.ID = ids[0]
		} else {
			note(invalidf("header %s: %+.200q is no job id: want a letter or digit, then up to 127 letters, digits and . _ : -",
				jetstream.MsgIDHeader, ids[0]))
		}
	}
	switch {
	case m.Wake:
		note(invalidf("a wake is no job"))
	case m.Session == "":
		note(invalidf("subject %+.300q names no session: want one lower-case UUID", m.Subject))
	case m.malformed:
		note(invalidf("the headers cannot be read"))
	}
	if traces := m.Header.values(traceparentHeader); len(traces) == 1 && traceparentPattern.MatchString(traces[0]) {
		j.Traceparent = traces[0] // anything else is dropped, as W3C asks: a trace is a courtesy
	}
	note(readJobHeaders(&j, m.Header))
	if wrong != nil {
		return j, wrong
	}
	return j, nil
}

// readJobHeaders goes through the Curfew-* headers in a fixed order, so that the same job is always refused for the same reason.
func readJobHeaders(j *Job, h Header) *InvalidError {
	known := jobHeaders()
	for _, name := range sortedNames(h) {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, curfewPrefix) {
			continue
		}
		read, ok := known[lower]
		if !ok {
			return invalidf("header %+.200q is unknown", name)
		}
		values := h.values(name)
		if len(values) != 1 {
			return invalidf("header %+.200q is given %d times", name, len(values))
		}
		if wrong := read(j, strings.TrimSpace(values[0])); wrong != nil {
			return wrong
		}
	}
	return nil
}
