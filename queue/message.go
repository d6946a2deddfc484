package queue

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Header holds a message's headers as they were written, names in their own case.
type Header map[string][]string

// values answers the values of a name, whatever its case.
func (h Header) values(name string) (all []string) {
	for k, vs := range h {
		if strings.EqualFold(k, name) {
			all = append(all, vs...)
		}
	}
	return all
}

// first answers the first value of a name in exactly this case: for headers that Curfew itself wrote.
func (h Header) first(name string) string {
	if vs := h[name]; len(vs) > 0 {
		return vs[0]
	}
	return ""
}

// Message is one message of the jobs stream: a job or a wake.
type Message struct {
	Subject string
	Session string // "" when the subject names no valid session
	Seq     uint64
	Time    time.Time // when the stream took it
	Header  Header
	Body    []byte
	Wake    bool   // news only; WakeSeq is the job it is about
	WakeSeq uint64 // 0: none named

	identity  Identity // of the stream it was read from
	epoch     uint64   // in which it was read
	malformed bool     // the header block could not be read as a whole
}

// wakeSeqHeader carries the sequence of the job that a wake is about.
const wakeSeqHeader = "Curfew-Wake-Seq"

// message makes a Message of what was read while st stood.
func (q *Queue) message(s *stored, st *standing) *Message {
	m := &Message{
		Subject: s.Subject, Seq: s.Seq, Time: s.Time, Header: s.header, Body: s.Data,
		identity: st.identity, epoch: st.epoch, malformed: s.malformed,
	}
	if strings.HasPrefix(s.Subject, strings.TrimSuffix(q.names.AllWakes, "*")) {
		m.Wake = true
		m.Session = sessionIn(q.names.AllWakes, s.Subject)
		m.WakeSeq, _ = strconv.ParseUint(m.Header.first(wakeSeqHeader), 10, 64)
		return m
	}
	m.Session = sessionIn(q.names.AllJobs, s.Subject)
	return m
}

// stored is a message as the JetStream API hands it out.
type stored struct {
	Subject string    `json:"subject"`
	Seq     uint64    `json:"seq"`
	Hdrs    []byte    `json:"hdrs"`
	Data    []byte    `json:"data"`
	Time    time.Time `json:"time"`

	header    Header
	malformed bool
}

// readHeader reads a header block line by line and keeps what can be understood: a block that nats.go refuses must not
// make its message unreadable, and with it every job behind it.
func readHeader(block []byte) (h Header, malformed bool) {
	if len(block) == 0 {
		return nil, false
	}
	h = Header{}
	first, rest, ok := bytes.Cut(block, []byte("\r\n"))
	if !ok || !bytes.HasPrefix(first, []byte("NATS/1.0")) {
		return h, true
	}
	for len(rest) > 0 {
		var line []byte
		line, rest, ok = bytes.Cut(rest, []byte("\r\n"))
		if len(line) == 0 {
			return h, malformed || len(rest) > 0
		}
		name, value, colon := bytes.Cut(line, []byte(":"))
		if !ok || !colon || len(name) == 0 {
			malformed = true
			continue
		}
		h[string(name)] = append(h[string(name)], string(bytes.TrimLeft(value, " \t")))
	}
	return h, true
}
