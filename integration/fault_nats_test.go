package integration

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

var natsFaults = []fault{
	{name: "nats killed", excuse: nothing, lease: patientLease, make: of(natsKilled{})},
	{name: "nats away for 5 s", excuse: nothing, lease: patientLease, make: of(natsKilled{away: 5 * time.Second})},
	{name: "nats hung for 5 s", excuse: nothing, lease: patientLease, hold: 5 * time.Second, make: of(natsHung{})},
	{name: "consumer deleted", excuse: nothing, lease: patientLease, make: of(consumerDeleted{})},
	{name: "early redelivery", excuse: nothing, lease: patientLease, hold: 3 * time.Second, make: of(earlyRedelivery{})},
	{name: "two deliveries in one worker", excuse: rerun, hold: 3 * time.Second, make: of(oneWorker{})},
	{name: "records full", excuse: nothing, lease: patientLease, hold: 3 * time.Second, make: of(streamFull{kind: "SESSIONS"})},
	{name: "dead letters full", excuse: nothing, lease: patientLease, hold: 3 * time.Second, make: of(streamFull{kind: "DEAD"}), skip: onlyWith("crashes", "replace and reject")},
	{name: "a subject purged", excuse: nothing, lease: patientLease, make: of(subjectPurged{})},
	{name: "jobs stream purged", excuse: lost, make: of(jobsPurged{})},
	{name: "jobs stream deleted", excuse: lost, make: of(jobsDeleted{})},
	{name: "jobs stream restored from a backup", excuse: lost, make: of(jobsRestored{})},
}

// natsKilled is kill -9 and a restart on the same store.
type natsKilled struct{ away time.Duration }

func (f *natsKilled) Inject(r *rig) {
	r.stack.nats.kill()
	r.hold(f.away)
	require.NoError(r.t, r.stack.nats.start())
}

func (*natsKilled) Heal(*rig) {}

type natsHung struct{}

func (*natsHung) Inject(r *rig) { r.stack.nats.proc.signal(syscall.SIGSTOP) }
func (*natsHung) Heal(r *rig)   { r.stack.nats.proc.signal(syscall.SIGCONT) }

const consumerName = "workers"

type consumerDeleted struct{}

func (*consumerDeleted) Inject(r *rig) {
	require.NoError(r.t, r.js.DeleteConsumer(r.ctx(), r.stream("JOBS"), consumerName))
}

// Heal waits for a worker to notice.
func (*consumerDeleted) Heal(r *rig) {
	r.await(func() bool {
		_, err := r.js.Consumer(r.ctx(), r.stream("JOBS"), consumerName)
		return err == nil
	}, "a worker made the consumer again")
}

// redeliverAfter changes how soon the stream delivers again what was not acknowledged.
func (r *rig) redeliverAfter(d time.Duration) {
	r.t.Helper()
	c, err := r.js.Consumer(r.ctx(), r.stream("JOBS"), consumerName)
	require.NoError(r.t, err)
	conf := c.CachedInfo().Config
	conf.AckWait = d
	_, err = r.js.UpdateConsumer(r.ctx(), r.stream("JOBS"), conf)
	require.NoError(r.t, err)
}

// earlyRedelivery has jobs delivered again, to anybody, while they run: sooner than their holder says that it still works.
type earlyRedelivery struct{}

func (*earlyRedelivery) Inject(r *rig) { r.redeliverAfter(ackWait / 8) }
func (*earlyRedelivery) Heal(r *rig)   { r.redeliverAfter(ackWait) }

// oneWorker leaves a single worker, which gets every delivery of every session, several at a time.
type oneWorker struct{ earlyRedelivery }

func (f *oneWorker) Inject(r *rig) {
	for len(r.crew) > 1 {
		x := r.crew[0]
		r.part(x)
		x.signal(termSignal)
	}
	f.earlyRedelivery.Inject(r)
}

func (f *oneWorker) Heal(r *rig) {
	f.earlyRedelivery.Heal(r)
	r.hire()
}

// streamFull lets a stream refuse what is written, as a full disk does.
type streamFull struct {
	kind string
	name string
	was  jetstream.StreamConfig
}

func (f *streamFull) Inject(r *rig) {
	f.name = r.stream(f.kind)
	if f.kind == "SESSIONS" {
		f.name = "KV_" + f.name
	}
	s, err := r.js.Stream(r.ctx(), f.name)
	require.NoError(r.t, err)
	f.was = s.CachedInfo().Config
	full := f.was
	full.MaxBytes = 1
	full.Discard = jetstream.DiscardNew
	_, err = r.js.UpdateStream(r.ctx(), full)
	require.NoError(r.t, err)
}

func (f *streamFull) Heal(r *rig) {
	_, err := r.js.UpdateStream(r.ctx(), f.was)
	require.NoError(r.t, err)
}

// subjectPurged is an operator who throws away the wakes of one session. Some were delivered, with other sessions' jobs, to a
// worker that has just died: nats-server forgets those jobs' deliveries over it.
type subjectPurged struct{}

func (*subjectPurged) Inject(r *rig) {
	c, err := r.js.Consumer(r.ctx(), r.stream("JOBS"), consumerName)
	require.NoError(r.t, err)
	wakes := strings.Replace(r.jobSubject(newSession()), ".jobs.", ".wake.", 1)
	job, wake := uint64(0), uint64(0) // the first and the last that were taken
	r.await(func() bool {
		taken, err := c.Fetch(10, jetstream.FetchMaxWait(500*time.Millisecond))
		require.NoError(r.t, err)
		for range 20 {
			require.NoError(r.t, r.send(r.job(newSession(), "forgotten?")))
			_, err := r.js.Publish(r.ctx(), wakes, nil)
			require.NoError(r.t, err)
		}
		for m := range taken.Messages() { // nobody answers them
			meta, err := m.Metadata()
			require.NoError(r.t, err)
			switch at := meta.Sequence.Stream; {
			case m.Subject() == wakes:
				wake = at
			case job == 0:
				job = at
			}
		}
		return job != 0 && wake > job
	}, "a job was taken before a wake")
	s, err := r.js.Stream(r.ctx(), r.stream("JOBS"))
	require.NoError(r.t, err)
	require.NoError(r.t, s.Purge(r.ctx(), jetstream.WithPurgeSubject(wakes)))
}

func (*subjectPurged) Heal(*rig) {}

// jobsPurged is an operator who throws away what waits, and what runs.
type jobsPurged struct{}

func (*jobsPurged) Inject(r *rig) {
	s, err := r.js.Stream(r.ctx(), r.stream("JOBS"))
	require.NoError(r.t, err)
	require.NoError(r.t, s.Purge(r.ctx()))
}

func (*jobsPurged) Heal(*rig) {}

// jobsDeleted is an operator who deletes the stream; workers make it again.
type jobsDeleted struct{ was jetstream.Stream }

func (f *jobsDeleted) Inject(r *rig) {
	var err error
	f.was, err = r.js.Stream(r.ctx(), r.stream("JOBS"))
	require.NoError(r.t, err)
	require.NoError(r.t, r.js.DeleteStream(r.ctx(), r.stream("JOBS")))
}

// Heal waits until a job goes all the way: a stream that was made right after a delete can be deaf at first.
func (f *jobsDeleted) Heal(r *rig) {
	r.await(func() bool {
		s, err := r.js.Stream(r.ctx(), r.stream("JOBS"))
		return err == nil && s.CachedInfo().Created.After(f.was.CachedInfo().Created)
	}, "a worker made the stream again")
	probe := r.job(newSession(), "does the new stream hear?", repeatable())
	require.NoError(r.t, r.send(probe))
	r.await(func() bool { _, ok := r.final(probe); return ok }, "the new stream takes a job, and a worker hears of it")
}

// jobsRestored is an operator who brings back the jobs stream of a while ago, and nothing else.
type jobsRestored struct{}

func (*jobsRestored) Inject(r *rig) {
	s := r.stack.nats
	live := filepath.Join(s.dir, "jetstream", "jetstream", "$G", "streams", r.stream("JOBS"))
	backup := filepath.Join(s.dir, "backup")
	s.kill()
	require.NoError(r.t, os.CopyFS(backup, os.DirFS(live)))
	require.NoError(r.t, s.start())
	r.hold(3 * time.Second)
	s.kill()
	require.NoError(r.t, os.RemoveAll(live))
	require.NoError(r.t, os.Rename(backup, live))
	require.NoError(r.t, s.start())
}

func (*jobsRestored) Heal(*rig) {}
