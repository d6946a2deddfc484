package worker

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
)

func TestJobsOfASessionRunOnceAndInOrder(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	session := newSession()
	var seqs []uint64
	for i := range 20 {
		seqs = append(seqs, w.publish(t, queue.NewJob{Session: session, ID: "j" + strconv.Itoa(i), Body: []byte("say " + strconv.Itoa(i))}))
	}
	finals := w.finals(t, session, len(seqs))
	var last uint64
	for i, seq := range seqs {
		e := finals[seq]
		require.Equal(t, string(Succeeded), e.Outcome)
		require.Equal(t, 1, e.Attempt)
		require.Equal(t, "j"+strconv.Itoa(i), e.Job)
		require.Equal(t, strconv.Itoa(i), e.Result.Text)
		require.Greater(t, e.Fence, last, "fences rise in the order of the jobs")
		last = e.Fence
	}
	w.empty(t)
	require.Empty(t, w.letters(t, session))
	require.Zero(t, w.table.Count())
}

func TestHowARunEndsDecidesWhatBecomesOfItsJob(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	cases := []struct {
		prompt   string
		outcome  Outcome
		attempts int
		letter   string // its Curfew-Exit; "" none
	}{
		{"exit 0", Succeeded, 1, ""},
		{"kill 15", Terminated, 1, ""},
		{"exit 143", Terminated, 1, ""},
		{"complain why exit 1", Crashed, 5, "1"},
		{"exit 137", Crashed, 5, "137"},
		{"kill 9", Crashed, 5, "SIGKILL"},
		{"kill 11", Crashed, 5, "SIGSEGV"},
		{"exit 126", Misconfigured, 1, "126"},
		{"exit 127", Misconfigured, 1, "127"},
	}
	for _, c := range cases { //nolint:paralleltest // three misconfigured runs in a row would stop the worker
		t.Run(c.prompt, func(t *testing.T) {
			session := newSession()
			first := w.publish(t, queue.NewJob{Session: session, Body: []byte(c.prompt)})
			next := w.publish(t, queue.NewJob{Session: session, Body: []byte("say on")})
			finals := w.finals(t, session, 2)
			require.Equal(t, string(c.outcome), finals[first].Outcome)
			require.Equal(t, c.attempts, finals[first].Attempt)
			require.Equal(t, string(Succeeded), finals[next].Outcome, "the session stays usable")
			letters := w.letters(t, session)
			if c.letter == "" {
				require.Empty(t, letters)
				return
			}
			require.Len(t, letters, 1)
			require.Equal(t, c.letter, letters[0].Exit)
			require.Equal(t, first, letters[0].JobSeq)
			require.Equal(t, c.attempts, letters[0].Attempts)
			require.Equal(t, c.prompt, string(letters[0].Body))
			if c.letter == "1" {
				require.Contains(t, string(letters[0].Stderr), "why")
			}
		})
	}
	w.empty(t)
}

// The test clock is the lease store's: the worker asks it how old a session is.
func TestTheWallClockEndsStrictlyAfterFourHours(t *testing.T) {
	t.Parallel()
	for age, runs := range map[time.Duration]bool{
		4*time.Hour - 10*time.Second:   true,
		4 * time.Hour:                  true,
		4*time.Hour - time.Millisecond: true,
		4*time.Hour + time.Millisecond: false,
		13 * time.Hour:                 false,
	} {
		t.Run(age.String(), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			now := time.Now().Truncate(time.Second)
			b.redis.SetTime(now) // stands still from here
			w := b.worker(nil)
			session := newSession()
			seq := w.publish(t, queue.NewJob{Session: session, CreatedAt: now.Add(-age), Body: []byte("say ran")})
			final := w.finals(t, session, 1)[seq]
			started := func() (n int) {
				require.NoError(t, w.q.Events(t.Context(), session, time.Time{}, false, func(e queue.Event) error {
					if e.Type == "started" {
						n++
					}
					return nil
				}))
				return n
			}
			if runs {
				// Events that are not final are sent on the side, and may come after one that is.
				require.Eventually(t, func() bool { return started() == 1 }, 60*time.Second, 10*time.Millisecond)
				if age < 4*time.Hour-time.Second { // the others are stopped as soon as they run
					require.Equal(t, string(Succeeded), final.Outcome)
				}
				return
			}
			require.Zero(t, started(), "an expired session starts nothing")
			require.Equal(t, string(Expired), final.Outcome)
			letters := w.letters(t, session)
			require.Len(t, letters, 1)
			require.Equal(t, "expired", letters[0].Reason)
			w.empty(t)
		})
	}
}

func TestALiveRunIsStoppedAtTheCurfewAndTheSessionIsOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.worker(func(c *Config) { c.MaxAge = 1500 * time.Millisecond })
	session := newSession()
	live := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 1m")})
	w.running(t, session)
	waiting := []uint64{
		w.publish(t, queue.NewJob{Session: session}),
		w.publish(t, queue.NewJob{Session: session, Conflict: queue.ConflictQueue}),
	}
	finals := w.finals(t, session, 3)
	for _, seq := range append(waiting, live) {
		require.Equal(t, string(Expired), finals[seq].Outcome)
	}
	require.Len(t, w.letters(t, session), 3)
	w.empty(t)

	b.redis.FlushAll() // the session is no younger for it
	later := w.publish(t, queue.NewJob{Session: session, CreatedAt: time.Now()})
	finals = w.finals(t, session, 4)
	require.Equal(t, string(Expired), finals[later].Outcome)
	require.Len(t, w.letters(t, session), 4)
	w.empty(t)

	overs := 0
	require.NoError(t, w.q.Events(t.Context(), session, time.Time{}, false, func(e queue.Event) error {
		if e.Type == "expired" {
			overs++
			require.EqualValues(t, 2, e.Purged)
		}
		return nil
	}))
	require.Equal(t, 1, overs, "one event for the session")
}

func TestCancelEndsTheSessionAndStopEndsTheRun(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	session := newSession()
	first := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 1m")})
	w.running(t, session)
	_, err := w.records.StopRun(t.Context(), session, "by test")
	require.NoError(t, err)
	require.NoError(t, w.q.Nudge(session))
	require.Equal(t, string(Stopped), w.finals(t, session, 1)[first].Outcome)

	second := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 1m")})
	snap := w.running(t, session)
	require.Equal(t, second, snap.Run.Seq)
	third := w.publish(t, queue.NewJob{Session: session})
	asked := time.Now()
	_, err = w.records.Cancel(t.Context(), session, "by test")
	require.NoError(t, err)
	require.NoError(t, w.q.Nudge(session))
	finals := w.finals(t, session, 3)
	require.Less(t, time.Since(asked), 3*time.Second)
	require.Equal(t, string(Cancelled), finals[second].Outcome)
	require.Equal(t, string(Cancelled), finals[third].Outcome)
	letters := w.letters(t, session)
	require.Len(t, letters, 1, "the stopped run's job is acknowledged, the waiting one is buried")
	require.Equal(t, third, letters[0].JobSeq)
	w.empty(t)
}

func TestReplaceTakesOverWithOneSlot(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(func(c *Config) { c.Concurrency = 1 })
	session := newSession()
	live := w.publish(t, queue.NewJob{Session: session, Body: []byte("deaf sleep 1m")})
	w.running(t, session)
	waiting := w.publish(t, queue.NewJob{Session: session, Body: []byte("say never")})
	replacing := w.publish(t, queue.NewJob{Session: session, Conflict: queue.ConflictReplace, Body: []byte("say new")})
	finals := w.finals(t, session, 3)
	require.Equal(t, string(Replaced), finals[live].Outcome)
	require.Equal(t, string(Replaced), finals[waiting].Outcome)
	require.Equal(t, string(Succeeded), finals[replacing].Outcome)
	require.Empty(t, w.letters(t, session))
	w.empty(t)
}

func TestReplaceCutsABackoffShort(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(func(c *Config) { c.Backoff, c.MaxBackoff = time.Hour, time.Hour })
	session := newSession()
	crashing := w.publish(t, queue.NewJob{Session: session, Body: []byte("exit 1")})
	require.Eventually(t, func() bool {
		s, err := w.records.Get(t.Context(), session)
		require.NoError(t, err)
		return s.State(time.Now()) == registry.StateBackoff
	}, 60*time.Second, 10*time.Millisecond)
	replacing := w.publish(t, queue.NewJob{Session: session, Conflict: queue.ConflictReplace, Body: []byte("say new")})
	finals := w.finals(t, session, 2)
	require.Equal(t, string(Replaced), finals[crashing].Outcome)
	require.Equal(t, string(Succeeded), finals[replacing].Outcome)
	w.empty(t)
}

func TestRejectIsADeadLetterAtOnceWhileARunIsLive(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(func(c *Config) { c.Concurrency = 1 })
	session := newSession()
	live := w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 2s")})
	w.running(t, session)
	waiting := w.publish(t, queue.NewJob{Session: session, Body: []byte("say later")})
	rejected := w.publish(t, queue.NewJob{Session: session, Conflict: queue.ConflictReject})
	finals := w.finals(t, session, 1)
	require.Equal(t, string(Rejected), finals[rejected].Outcome, "before the live run ends")
	finals = w.finals(t, session, 3)
	require.Equal(t, string(Succeeded), finals[live].Outcome)
	require.Equal(t, string(Succeeded), finals[waiting].Outcome)
	letters := w.letters(t, session)
	require.Len(t, letters, 1)
	require.Equal(t, "rejected", letters[0].Reason)
	idle := w.publish(t, queue.NewJob{Session: session, Conflict: queue.ConflictReject})
	require.Equal(t, string(Succeeded), w.finals(t, session, 4)[idle].Outcome, "an idle session rejects nothing")
	s, err := w.records.Get(t.Context(), session)
	require.NoError(t, err)
	require.Empty(t, s.Rejected)
	w.empty(t)
}
