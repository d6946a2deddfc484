package worker

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
)

// busyWorker is a worker whose only slot is taken for the given time: it pulls nothing.
func busyWorker(t *testing.T, d string, change func(*Config)) *started {
	t.Helper()
	w := newBench(t).worker(func(c *Config) {
		c.Concurrency = 1
		if change != nil {
			change(c)
		}
	})
	blocker := newSession()
	w.publish(t, queue.NewJob{Session: blocker, Body: []byte("sleep " + d)})
	w.running(t, blocker)
	return w
}

// Both jobs of a session without a record wait: the second replaces the first.
func TestReplaceOnAFreshSession(t *testing.T) {
	t.Parallel()
	w := busyWorker(t, "1500ms", func(c *Config) { c.BusyDelay = time.Minute })
	session := newSession()
	first := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 30s")})
	second := w.publish(t, queue.NewJob{Session: session, Conflict: queue.ConflictReplace, Body: []byte("say new")})
	finals := w.finals(t, session, 2)
	require.Equal(t, string(Replaced), finals[first].Outcome)
	require.Zero(t, finals[first].Attempt, "it never ran")
	require.Equal(t, string(Succeeded), finals[second].Outcome)
}

func TestReplaceDuringTheGraceOfAStalledRun(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(func(c *Config) {
		c.Backoff, c.MaxBackoff, c.BusyDelay = time.Hour, time.Hour, time.Minute
		c.Agents["default"].IdleTimeout = 3 * time.Second
		c.Agents["default"].Grace = 8 * time.Second
	})
	session := newSession()
	first := w.publish(t, queue.NewJob{Session: session, Body: []byte("deaf say x sleep 1m")})
	w.running(t, session)
	e, ok := w.table.BySession(session)
	require.True(t, ok)
	stopping, ok := e.Run.(interface{ Intent() (error, time.Time) })
	require.True(t, ok)
	require.Eventually(t, func() bool { c, _ := stopping.Intent(); return c != nil }, 60*time.Second, 5*time.Millisecond)
	second := w.publish(t, queue.NewJob{Session: session, Conflict: queue.ConflictReplace, Body: []byte("say new")})
	finals := w.finals(t, session, 2)
	require.Equal(t, string(Replaced), finals[first].Outcome)
	require.Equal(t, string(Succeeded), finals[second].Outcome)
}

func TestAWorkerThatRefusesJobsLeavesTheSessionToo(t *testing.T) {
	t.Parallel()
	w := busyWorker(t, "1s", nil)
	session := newSession()
	for range 10 {
		w.publish(t, queue.NewJob{Session: session, Body: []byte("exit 127")})
	}
	require.Eventually(t, func() bool { return w.Ready() != nil }, 60*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return len(w.slots) == 0 }, 60*time.Second, 10*time.Millisecond)
	require.Len(t, w.letters(t, session), misconfiguredLimit)
}

// bucket is the stream behind the records.
func (s *started) bucket(t *testing.T) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js, err := jetstream.New(s.q.Conn())
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "KV_"+registry.BucketName("curfew"))
	require.NoError(t, err)
	return js, stream
}

func TestADeletedRecordIsNoRecord(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	session := newSession()
	first := w.publish(t, queue.NewJob{Session: session, Body: []byte("say a")})
	require.Equal(t, string(Succeeded), w.finals(t, session, 1)[first].Outcome)
	w.empty(t)
	require.Eventually(t, func() bool { return w.leases.Count() == 0 }, 60*time.Second, 10*time.Millisecond)
	js, _ := w.bucket(t)
	kv, err := js.KeyValue(t.Context(), registry.BucketName("curfew"))
	require.NoError(t, err)
	require.NoError(t, kv.Delete(t.Context(), session)) // as an operator may, by the nats command
	second := w.publish(t, queue.NewJob{Session: session, Body: []byte("say b")})
	require.Equal(t, string(Succeeded), w.finals(t, session, 2)[second].Outcome)
}

// A bucket that refuses writes is asked again, and not as fast as it can answer.
func TestARefusedWriteIsTriedAgainSlowly(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	js, s := w.bucket(t)
	cfg := s.CachedInfo().Config
	sane := cfg.MaxMsgSize
	cfg.MaxMsgSize = 100
	_, err := js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	asked := w.q.Conn().Stats().OutMsgs
	began := time.Now()
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("say a")})
	require.Eventually(t, func() bool { return time.Since(began) > 1500*time.Millisecond }, 60*time.Second, 10*time.Millisecond)
	require.Less(t, w.q.Conn().Stats().OutMsgs-asked, uint64(300))
	cfg.MaxMsgSize = sane
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, string(Succeeded), w.finals(t, session, 1)[seq].Outcome)
}

// The hint's own message is there, a read missed it, and somebody once knocked for a higher one that is gone.
func TestAHintIsAcknowledgedOnlyWhenItsOwnMessageIsGone(t *testing.T) {
	t.Parallel()
	w := busyWorker(t, "1m", nil)
	session, ctx := newSession(), t.Context()
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("say a")})
	hints, err := w.q.Hints(ctx)
	require.NoError(t, err)
	h, err := hints.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, seq, h.Seq)
	a := w.newAdoption(session)
	_, err = w.leases.Acquire(ctx, registry.Ask{Session: session, Token: "other"})
	require.NoError(t, err)
	_, err = w.leases.Acquire(ctx, registry.Ask{Session: session, Token: "knocks", Seq: 5000})
	require.Error(t, err)
	a.token, a.hint = "other", w.hold(h)
	require.NoError(t, a.begin(ctx))
	_, knocked := a.lease.Knocks()
	require.EqualValues(t, 5000, knocked)
	end, err := a.nothing(ctx) // as after a look that a stale replica answered: no head
	require.NoError(t, err)
	require.Equal(t, goOn, end, "it looks again")
	require.True(t, a.hint.open())
}

func TestAStopDuringADrainsGraceHolds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.worker(func(c *Config) { c.DrainTimeout = 0; c.Agents["default"].Grace = 2 * time.Second })
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("deaf say on sleep 1m")})
	w.running(t, session)
	require.Eventually(t, func() bool { // it is deaf by now
		said := false
		require.NoError(t, w.q.Output(t.Context(), session, false, func(queue.Chunk) error { said = true; return nil }))
		return said
	}, 60*time.Second, 20*time.Millisecond)
	w.Drain()
	_, err := w.records.StopRun(t.Context(), session, "by test")
	require.NoError(t, err)
	require.NoError(t, w.q.Nudge(session))
	require.NoError(t, <-w.ended)
	other := b.worker(func(c *Config) { c.ID = "other" })
	require.Equal(t, string(Stopped), other.finals(t, session, 1)[seq].Outcome)
	require.Equal(t, []string{"stopped"}, other.outcomes(t, session))
}

func TestAStopOfADeadWorkersRunHolds(t *testing.T) {
	t.Parallel()
	w := busyWorker(t, "1s", nil)
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("say ran")})
	rec := registry.Record{CreatedAt: time.Now(), MaxAgeMS: (4 * time.Hour).Milliseconds(), Stream: string(w.q.Identity())}
	rec = rec.Begin(registry.Opening{Token: registry.NewToken(), Seq: seq, Job: "x", Agent: "default", Worker: "dead", Started: time.Now()})
	_, err := w.records.Update(t.Context(), registry.Snapshot{Session: session}, rec)
	require.NoError(t, err)
	_, err = w.records.StopRun(t.Context(), session, "by test")
	require.NoError(t, err)
	require.Equal(t, string(Stopped), w.finals(t, session, 1)[seq].Outcome)
	require.Equal(t, []string{"stopped"}, w.outcomes(t, session))
}

// What expired while the step before the opening waited for a server is not started.
func TestNothingStartsAfterAnExpiryDuringTheLook(t *testing.T) {
	t.Parallel()
	w := busyWorker(t, "1m", func(c *Config) { c.MaxAge = 2 * time.Second })
	session, ctx := newSession(), t.Context()
	w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 1m")})
	a := w.newAdoption(session)
	require.NoError(t, a.begin(ctx))
	head, err := a.head(ctx, nil)
	require.NoError(t, err)
	job, err := parse(head)
	require.NoError(t, err)
	require.False(t, a.based(head, job).Over(a.now()))
	curfew := a.based(head, job).Curfew()
	require.Eventually(t, func() bool { return a.lease.Now().After(curfew) }, 60*time.Second, 10*time.Millisecond)
	end, err := a.begun(ctx, head, job, nil)
	require.NoError(t, err)
	require.Equal(t, goOn, end, "it looks again")
	require.Nil(t, a.snap.Run)
}

// What is removed was buried: a sequence of the old stream must not take a job of the new one away.
func TestABurialDoesNotReachIntoANewStream(t *testing.T) {
	t.Parallel()
	w := busyWorker(t, "1m", nil)
	session, ctx := newSession(), t.Context()
	for range 3 {
		w.publish(t, queue.NewJob{Session: session, CreatedAt: time.Now().Add(-10 * time.Hour), Body: []byte("old")})
	}
	a := w.newAdoption(session)
	require.NoError(t, a.begin(ctx))
	head, err := a.head(ctx, nil)
	require.NoError(t, err)
	job, err := parse(head)
	require.NoError(t, err)
	_, err = a.bury(ctx, a.based(head, job), nil) // the tombstone
	require.NoError(t, err)
	js, _ := w.bucket(t)
	identity := w.q.Identity()
	require.NoError(t, js.DeleteStream(ctx, "CURFEW_JOBS"))
	require.Eventually(t, func() bool { return w.q.Identity() != identity }, 60*time.Second, 10*time.Millisecond)
	var fresh []uint64
	for range 4 {
		fresh = append(fresh, w.publish(t, queue.NewJob{Session: session, Body: []byte("new")}))
	}
	require.NoError(t, a.buryWaiting(ctx, head))
	letters := w.letters(t, session)
	require.Equal(t, "old", string(letters[0].Body))
	require.Contains(t, fresh, head.Seq)
	for _, seq := range fresh {
		_, err := w.q.Get(ctx, seq)
		buried := slices.ContainsFunc(letters, func(d queue.DeadLetter) bool { return d.JobSeq == seq && string(d.Body) == "new" })
		require.Equal(t, buried, errors.Is(err, queue.ErrNoMessage), "%d is gone when it has its letter", seq)
		require.True(t, seq > head.Seq || err == nil)
	}
}

func TestAnUnreadableRecordHoldsNoSlot(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(func(c *Config) { c.Concurrency = 1 })
	js, _ := w.bucket(t)
	kv, err := js.KeyValue(t.Context(), registry.BucketName("curfew"))
	require.NoError(t, err)
	broken := newSession()
	_, err = kv.Put(t.Context(), broken, []byte("not a record"))
	require.NoError(t, err)
	seq := w.publish(t, queue.NewJob{Session: broken})
	other := newSession()
	w.publish(t, queue.NewJob{Session: other})
	w.finals(t, other, 1)
	require.NoError(t, kv.Delete(t.Context(), broken))
	require.Equal(t, string(Succeeded), w.finals(t, broken, 1)[seq].Outcome)
}
