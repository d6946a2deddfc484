package queue

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// setting is one row of what is compared between a stream or consumer as it is and as it is wanted.
type setting[C any] struct {
	name  string
	fixed bool // the server does not let it be changed
	show  func(C) any
	take  func(have *C, want C)
	same  func(have, want C) bool // nil: equal when they show the same
}

func (s setting[C]) equal(have, want C) bool {
	if s.same != nil {
		return s.same(have, want)
	}
	return s.show(have) == s.show(want)
}

// differences answers a sentence for each setting that differs, changes those in have that can be changed, and names those
// that cannot.
func differences[C any](what string, rows []setting[C], have *C, want C) (differ, fixed []string) {
	for _, row := range rows {
		if row.equal(*have, want) {
			continue
		}
		text := fmt.Sprintf("%s: %s is %v, should be %v", what, row.name, row.show(*have), row.show(want))
		differ = append(differ, text)
		if row.fixed {
			fixed = append(fixed, text)
			continue
		}
		row.take(have, want)
	}
	return differ, fixed
}

func streamSettings() []setting[jetstream.StreamConfig] {
	type C = jetstream.StreamConfig
	return []setting[C]{
		{
			name: "subjects",
			show: func(c C) any { return strings.Join(slices.Sorted(slices.Values(c.Subjects)), " ") },
			take: func(h *C, w C) { h.Subjects = w.Subjects },
		},
		{
			name: "retention", fixed: true,
			show: func(c C) any { return c.Retention },
			take: func(h *C, w C) { h.Retention = w.Retention },
		},
		{
			name: "storage", fixed: true,
			show: func(c C) any { return c.Storage },
			take: func(h *C, w C) { h.Storage = w.Storage },
		},
		{
			name: "replicas",
			show: func(c C) any { return c.Replicas },
			take: func(h *C, w C) { h.Replicas = w.Replicas },
		},
		{
			name: "messages per subject",
			show: func(c C) any { return c.MaxMsgsPerSubject },
			take: func(h *C, w C) { h.MaxMsgsPerSubject = w.MaxMsgsPerSubject },
		},
		{
			name: "messages",
			show: func(c C) any { return c.MaxMsgs },
			take: func(h *C, w C) { h.MaxMsgs = w.MaxMsgs },
		},
		{
			name: "discard policy",
			show: func(c C) any { return c.Discard },
			take: func(h *C, w C) { h.Discard = w.Discard },
		},
		{
			name: "refusing new ones per subject",
			show: func(c C) any { return c.DiscardNewPerSubject },
			take: func(h *C, w C) { h.DiscardNewPerSubject = w.DiscardNewPerSubject },
		},
		{
			name: "age limit",
			show: func(c C) any { return c.MaxAge },
			take: func(h *C, w C) { h.MaxAge = w.MaxAge },
		},
		{
			name: "duplicate window",
			show: func(c C) any { return c.Duplicates },
			take: func(h *C, w C) { h.Duplicates = w.Duplicates },
		},
		{
			name: "byte bound", // any will do
			show: func(c C) any { return c.MaxBytes },
			take: func(h *C, w C) { h.MaxBytes = w.MaxBytes },
			same: func(h, _ C) bool { return h.MaxBytes > 0 },
		},
		{
			name: "largest message", // a smaller one is an operator's choice, a larger one could not be buried
			show: func(c C) any { return c.MaxMsgSize },
			take: func(h *C, w C) { h.MaxMsgSize = w.MaxMsgSize },
			same: func(h, w C) bool { return w.MaxMsgSize < 0 || h.MaxMsgSize > 0 && h.MaxMsgSize <= w.MaxMsgSize },
		},
		{
			name: "direct reads", // they may be stale
			show: func(c C) any { return c.AllowDirect },
			take: func(h *C, w C) { h.AllowDirect = w.AllowDirect },
		},
		{
			name: "delete markers", // they would be delivered as empty jobs
			show: func(c C) any { return c.SubjectDeleteMarkerTTL },
			take: func(h *C, w C) { h.SubjectDeleteMarkerTTL = w.SubjectDeleteMarkerTTL },
		},
		{
			name: "denying deletes", fixed: true,
			show: func(c C) any { return c.DenyDelete },
			take: func(h *C, w C) { h.DenyDelete = w.DenyDelete },
		},
		{
			name: "denying purges", fixed: true,
			show: func(c C) any { return c.DenyPurge },
			take: func(h *C, w C) { h.DenyPurge = w.DenyPurge },
		},
	}
}

// consumerSettings: a consumer is made anew where a fixed setting differs; hints are only news, so nothing is lost.
func consumerSettings() []setting[jetstream.ConsumerConfig] {
	type C = jetstream.ConsumerConfig
	return []setting[C]{
		{
			name: "ack policy", fixed: true,
			show: func(c C) any { return c.AckPolicy },
			take: func(h *C, w C) { h.AckPolicy = w.AckPolicy },
		},
		{
			name: "delivery policy", fixed: true,
			show: func(c C) any { return c.DeliverPolicy },
			take: func(h *C, w C) { h.DeliverPolicy = w.DeliverPolicy },
		},
		{
			name: "waiting pulls", fixed: true,
			show: func(c C) any { return c.MaxWaiting },
			take: func(h *C, w C) { h.MaxWaiting = w.MaxWaiting },
		},
		{
			name: "ack wait",
			show: func(c C) any { return c.AckWait },
			take: func(h *C, w C) { h.AckWait = w.AckWait },
		},
		{
			name: "deliveries",
			show: func(c C) any { return c.MaxDeliver },
			take: func(h *C, w C) { h.MaxDeliver = w.MaxDeliver },
		},
		{
			name: "unacknowledged messages",
			show: func(c C) any { return c.MaxAckPending },
			take: func(h *C, w C) { h.MaxAckPending = w.MaxAckPending },
		},
		{
			name: "backoff",
			show: func(c C) any { return fmt.Sprint(c.BackOff) },
			take: func(h *C, w C) { h.BackOff = w.BackOff },
		},
		{
			name: "filter",
			show: func(c C) any { return strings.Join(append([]string{c.FilterSubject}, c.FilterSubjects...), " ") },
			take: func(h *C, w C) { h.FilterSubject, h.FilterSubjects = w.FilterSubject, w.FilterSubjects },
		},
		{
			name: "headers only",
			show: func(c C) any { return c.HeadersOnly },
			take: func(h *C, w C) { h.HeadersOnly = w.HeadersOnly },
		},
		{
			name: "inactivity limit",
			show: func(c C) any { return c.InactiveThreshold },
			take: func(h *C, w C) { h.InactiveThreshold = w.InactiveThreshold },
		},
		{
			name: "largest pull time", // shorter ones than ours would be refused
			show: func(c C) any { return c.MaxRequestExpires },
			take: func(h *C, w C) { h.MaxRequestExpires = w.MaxRequestExpires },
			same: func(h, _ C) bool { return h.MaxRequestExpires == 0 || h.MaxRequestExpires >= pullExpires },
		},
	}
}

// pullExpires is how long one pull waits at the server.
const pullExpires = 30 * time.Second
