package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/worker/agent"
)

func TestARunIsKilledBeforeItsLeaseCanBeAnothers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.worker(func(c *Config) { c.Agents["default"].Grace = time.Minute })
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("deaf sleep 8s")})
	w.running(t, session)
	e, ok := w.table.BySession(session)
	require.True(t, ok)
	cut := time.Now()
	b.redis.Close() // unreachable: no renewal
	<-e.Run.Done()
	require.Less(t, time.Since(cut), testTerms.TTL+time.Second, "it may live for ttl - margin after its last renewal")
	require.Empty(t, w.outcomes(t, session), "after a loss nothing is written")
	require.NoError(t, b.redis.Restart())
	require.Equal(t, seq, w.running(t, session).Run.Seq)
	require.Equal(t, 2, w.running(t, session).Run.Attempt)
	require.Equal(t, string(Succeeded), w.finals(t, session, 1)[seq].Outcome)
	require.Empty(t, w.letters(t, session))
	w.empty(t)
}

func TestRedisForgettingEverythingCostsNoRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w, other := b.worker(nil), b.worker(func(c *Config) { c.ID = "other" })
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 3s say once")})
	require.Eventually(t, func() bool { return w.table.Count()+other.table.Count() == 1 }, 60*time.Second, 5*time.Millisecond)
	b.redis.FlushAll()
	waiting := w.publish(t, queue.NewJob{Session: session, Body: []byte("say then")})
	finals := w.finals(t, session, 2)
	require.Equal(t, 1, finals[seq].Attempt)
	require.Equal(t, string(Succeeded), finals[seq].Outcome)
	require.Equal(t, string(Succeeded), finals[waiting].Outcome)
	require.Equal(t, []string{"succeeded", "succeeded"}, w.outcomes(t, session))
	w.empty(t)
}

func TestTheSweeperEndsWhatNobodyTakesUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.worker(func(c *Config) {
		c.Concurrency, c.SweepEvery = 1, 300*time.Millisecond
		brief := *c.Agents["default"]
		brief.Name, brief.MaxAge = "brief", time.Second
		c.Agents = map[string]*agent.Agent{"default": c.Agents["default"], "brief": &brief}
	})
	busy := newSession()
	w.publish(t, queue.NewJob{Session: busy, Body: []byte("sleep 1m")})
	w.running(t, busy) // the only slot
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session, Agent: "brief", Body: []byte("say never")})
	young := newSession()
	w.publish(t, queue.NewJob{Session: young})
	e := w.finals(t, session, 1)[seq]
	require.Equal(t, string(Expired), e.Outcome)
	require.Len(t, w.letters(t, session), 1)
	require.Empty(t, w.letters(t, young), "its jobs may wait on")
	require.Eventually(t, func() bool {
		snap, err := w.records.Get(t.Context(), session)
		require.NoError(t, err)
		return snap.Tombstone.Announced
	}, 60*time.Second, 10*time.Millisecond)

	report, err := w.Sweep(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, SweepReport{}, report, "nothing is left to sweep")
	require.Equal(t, 1, w.table.Count(), "the live run of a young session is untouched")
}

func TestJobsThatCannotBeUnderstoodAreSetAside(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.worker(nil)
	session := newSession()
	good := w.publish(t, queue.NewJob{Session: session, Body: []byte("say ok")})
	w.finals(t, session, 1)
	other := w.publish(t, queue.NewJob{Session: session, Agent: "another"})
	unknown := newSession()
	waits := w.publish(t, queue.NewJob{Session: unknown, Agent: "nobody"})
	finals := w.finals(t, session, 2)
	require.Equal(t, string(Succeeded), finals[good].Outcome)
	require.Equal(t, string(Invalid), finals[other].Outcome)
	require.Equal(t, string(Invalid), w.finals(t, unknown, 1)[waits].Outcome)
	require.Contains(t, w.letters(t, unknown)[0].Reason, "nobody")

	nc := w.q.Conn()
	for _, subject := range []string{"curfew.jobs.not-a-uuid", "curfew.jobs.5B1C3AB0-6F0E-4C69-9C55-2B8D7D3D7A01", "curfew.jobs.a.b"} {
		require.NoError(t, nc.Publish(subject, []byte("stray")))
	}
	require.Len(t, w.finals(t, "invalid", 3), 3)
	require.Len(t, w.letters(t, "invalid"), 3)
	w.empty(t)
}

func TestThreeMisconfiguredRunsStopTheWorkerFromTakingMore(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	for range misconfiguredLimit {
		session := newSession()
		w.publish(t, queue.NewJob{Session: session, Body: []byte("exit 127")})
		w.finals(t, session, 1)
	}
	require.Eventually(t, func() bool { return w.Ready() != nil }, 60*time.Second, 10*time.Millisecond)
	require.ErrorContains(t, w.Ready(), `agent "default"`)
	w.empty(t)
	w.publish(t, queue.NewJob{Session: newSession()})
	waiting, err := w.q.Waiting(t.Context())
	require.NoError(t, err)
	require.Len(t, waiting, 1, "its jobs wait for a worker that is well")
}
