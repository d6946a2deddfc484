package queue

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Byte bounds: a runaway producer or agent fills its stream, never the disk. An operator may set others with the nats
// command; only their absence counts as a difference.
const (
	jobsBytes   = 1 << 30   // full: publishing is refused
	eventsBytes = 512 << 20 // full: the oldest go
	outputBytes = 1 << 30   // full: the oldest go
	deadBytes   = 1 << 30   // full: burying is refused, the job stays; a letter is never dropped silently
)

const (
	eventsAge = 7 * 24 * time.Hour
	outputAge = 24 * time.Hour
	deadAge   = 30 * 24 * time.Hour
)

// replaySlack lets a job of the largest size be replayed: the id of the replay is a header that the job may not have had.
const replaySlack = 1 << 10

// Keys under which the jobs stream's metadata keeps what the namespace agreed on.
const (
	ttlKey    = "lease_ttl"
	marginKey = "lease_margin"
)

// wantedStreams are the four streams as this configuration wants them.
func (q *Queue) wantedStreams(t Terms) []jetstream.StreamConfig {
	n := q.names
	jobs := jetstream.StreamConfig{
		Name: n.Jobs, Description: "Curfew: jobs and wakes of sessions",
		Subjects:             []string{n.AllJobs, n.AllWakes},
		Retention:            jetstream.WorkQueuePolicy,
		MaxMsgsPerSubject:    q.o.Backlog,
		Discard:              jetstream.DiscardNew, // a full backlog refuses the publisher instead of dropping somebody's job
		DiscardNewPerSubject: true,
		MaxBytes:             jobsBytes,
		MaxMsgSize:           int32(min(q.MaxJobBytes()+replaySlack, 1<<30)), //nolint:gosec // bounded just here
		Metadata:             t.metadata(),
	}
	kept := func(name, what, subject string, age time.Duration, bytes int64, discard jetstream.DiscardPolicy) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: what, Subjects: []string{subject}, Retention: jetstream.LimitsPolicy,
			MaxAge: age, MaxBytes: bytes, Discard: discard, MaxMsgsPerSubject: -1, MaxMsgSize: -1,
		}
	}
	all := []jetstream.StreamConfig{
		jobs,
		kept(n.Events, "Curfew: what happened to sessions and jobs", n.AllEvents, eventsAge, eventsBytes, jetstream.DiscardOld),
		kept(n.Output, "Curfew: what subprocesses wrote", n.AllOutput, outputAge, outputBytes, jetstream.DiscardOld),
		kept(n.Dead, "Curfew: dead letters", n.AllDead, deadAge, deadBytes, jetstream.DiscardNew),
	}
	for i := range all {
		c := &all[i]
		c.Storage, c.Replicas = jetstream.FileStorage, q.o.Replicas
		c.Duplicates = q.o.window
		c.MaxMsgs, c.MaxConsumers = -1, -1
	}
	return all
}

// wantedConsumer is shared by all workers. Deliveries are hints: no limit on their number may make one undeliverable,
// and waiting hints of busy sessions must not fill it up.
func (q *Queue) wantedConsumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: q.names.Consumer, Description: "Curfew: hints to workers",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       q.o.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: 100_000,
		MaxWaiting:    4096, // pulls beyond it would be refused
	}
}

func (t Terms) metadata() map[string]string {
	return map[string]string{ttlKey: t.TTL.String(), marginKey: t.Margin.String()}
}

// termsIn reads what was agreed; ok is false where a stream does not say.
func termsIn(metadata map[string]string) (t Terms, ok bool) {
	ttl, err1 := time.ParseDuration(metadata[ttlKey])
	margin, err2 := time.ParseDuration(metadata[marginKey])
	return Terms{TTL: ttl, Margin: margin}, err1 == nil && err2 == nil
}
