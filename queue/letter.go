package queue

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// Letter is what burying adds to a job.
type Letter struct {
	Job      string // the job's id
	Reason   string // why, for people
	Outcome  string
	Attempts int
	Exit     string // code or signal name, "" for none
	Stderr   []byte // the last 4 KiB are kept
}

const (
	reasonHeader   = "Curfew-Dead-Reason"
	outcomeHeader  = "Curfew-Outcome"
	attemptsHeader = "Curfew-Attempts"
	exitHeader     = "Curfew-Exit"
	seqHeader      = "Curfew-Seq"
	jobHeader      = "Curfew-Job"
	stderrHeader   = "Curfew-Stderr"
	subjectHeader  = "Curfew-Subject"         // only where it names no session: what the job was published on, quoted
	droppedHeader  = "Curfew-Dropped-Headers" // how many of the job's headers did not fit
)

const (
	deadPrefix  = "dead:"
	finalPrefix = "final:"
	retryPrefix = "retry:"
)

const (
	stderrKept = 4 << 10
	reasonKept = 1 << 10
	wordKept   = 256
)

// letterHeaders are the letter's own, in lower case: a job cannot bring them, and its replay does not carry them.
func letterHeaders() map[string]bool {
	own := map[string]bool{}
	for _, name := range []string{
		reasonHeader, outcomeHeader, attemptsHeader, exitHeader, seqHeader, jobHeader, stderrHeader, subjectHeader, droppedHeader,
	} {
		own[strings.ToLower(name)] = true
	}
	return own
}

// Bury publishes a dead letter for the job: its body, its headers without the Nats-* ones, and the letter. It does not remove the
// job. Calling it twice within the duplicate window (10 min) makes one letter; again says that it may have been done
// before, perhaps longer ago: then it looks first.
func (q *Queue) Bury(ctx context.Context, m *Message, l Letter, again bool) error {
	own := letterHeaders()
	d := &nats.Msg{Subject: q.names.DeadSubject(m.Session), Data: m.Body, Header: carried(m.Header, own)}
	set := func(name, value string) {
		if value != "" {
			d.Header[name] = []string{value}
		}
	}
	set(reasonHeader, clean(l.Reason, reasonKept))
	set(outcomeHeader, clean(l.Outcome, wordKept))
	set(attemptsHeader, strconv.Itoa(l.Attempts))
	set(exitHeader, clean(l.Exit, wordKept))
	set(seqHeader, strconv.FormatUint(m.Seq, 10))
	set(jobHeader, clean(l.Job, wordKept))
	set(stderrHeader, base64.StdEncoding.EncodeToString(l.Stderr[max(0, len(l.Stderr)-stderrKept):]))
	if m.Session == "" {
		set(subjectHeader, clean(fmt.Sprintf("%+q", m.Subject), reasonKept))
	}
	// The server adds nothing, but the id and the stream's name are still to come.
	if n := fit(d, own, int(q.nc.MaxPayload())-wordKept*2); n > 0 {
		set(droppedHeader, strconv.Itoa(n))
	}
	if err := q.sendLooking(ctx, q.names.Dead, d, q.effectID(deadPrefix, m), again, m.Time); err != nil {
		return fmt.Errorf("burying message %d: %w", m.Seq, err)
	}
	return nil
}

// effectID names an effect of one message of one stream. The time tells it from a message that had the sequence before the
// stream was restored from a backup: under the same name its letter and event would be taken for duplicates.
func (q *Queue) effectID(prefix string, m *Message) string {
	identity := m.identity
	if identity == "" {
		identity = q.Identity()
	}
	return prefix + string(identity) + ":" + strconv.FormatUint(m.Seq, 10) + ":" + strconv.FormatInt(m.Time.UnixNano(), 36)
}

// clean makes one line of at most n bytes out of text that may hold anything.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return strings.TrimSpace(s)
}
