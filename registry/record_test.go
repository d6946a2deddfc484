package registry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestExpiredIsStrictlyPastTheWallClock(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rec := Record{CreatedAt: created, MaxAgeMS: (4 * time.Hour).Milliseconds()}
	for _, c := range []struct {
		age     time.Duration
		expired bool
	}{
		{0, false},
		{4*time.Hour - time.Millisecond, false},
		{4 * time.Hour, false},
		{4*time.Hour + time.Millisecond, true},
		{13 * time.Hour, true},
		{-time.Hour, false},
	} {
		require.Equal(t, c.expired, rec.Expired(created.Add(c.age)), "age %s", c.age)
	}
}

func TestRunTransitions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	begin := func(r Record, seq uint64) Record {
		return r.Begin(Opening{Token: "a", Seq: seq, Job: "j", Agent: "default", Worker: "w", Started: now})
	}
	rec := begin(Record{}, 7)
	require.Equal(t, RunKey{Token: "a", Seq: 7, Attempt: 1}, rec.Run.RunKey)
	require.Equal(t, Begins{Seq: 7, Count: 1, Unsettled: 1}, rec.Begins)

	again := begin(rec, 7) // its worker died
	require.Equal(t, Begins{Seq: 7, Count: 2, Unsettled: 2}, again.Begins)

	crashed := again.Retry(again.Run.RunKey, now.Add(time.Second))
	require.Nil(t, crashed.Run)
	require.Equal(t, 1, crashed.Failures)
	require.Zero(t, crashed.Begins.Unsettled)
	require.True(t, crashed.BackingOff(now))
	require.False(t, crashed.BackingOff(now.Add(time.Second)))
	replaced := crashed
	replaced.ReplaceSeq = 9
	require.False(t, replaced.BackingOff(now), "a replacing job cuts the backoff short")

	back := begin(crashed, 7).HandBack(RunKey{Token: "a", Seq: 7, Attempt: 3}, false)
	require.Equal(t, 1, back.Failures, "handing back is no failure")
	require.Equal(t, 3, back.Begins.Count)
	refunded := begin(crashed, 7).HandBack(RunKey{Token: "a", Seq: 7, Attempt: 3}, true)
	require.Equal(t, 2, refunded.Begins.Count)

	done := begin(back, 7).Finish(Finished{RunKey: RunKey{Token: "a", Seq: 7, Attempt: 4}, Time: now, Outcome: "succeeded", Usage: &Usage{CostUSD: 2}})
	require.Equal(t, Mark{Seq: 7, Time: now}, done.Done)
	require.Zero(t, done.Failures)
	require.Equal(t, 2.0, done.SpendUSD)
	require.Equal(t, &RunKey{Token: "a", Seq: 7, Attempt: 4}, done.Closed)

	next := begin(done, 8)
	require.Equal(t, Begins{Seq: 8, Count: 1, Unsettled: 1}, next.Begins)
	require.Zero(t, begin(crashed, 8).Failures, "failures are the head's")
}

func TestAStreamMadeAnewSwallowsNothing(t *testing.T) {
	t.Parallel()
	then := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	old := Record{Stream: "100", Done: Mark{Seq: 500, Time: then}, ReplaceSeq: 400, Failures: 2, Last: &Finished{}}

	same, anew := old.Anew("100", Mark{Seq: 501, Time: then.Add(time.Second)})
	require.False(t, anew)
	require.Equal(t, old, same)
	_, anew = old.Anew("100", Mark{Seq: 500, Time: then})
	require.False(t, anew, "the finished message itself")
	_, anew = old.Anew("100", Mark{})
	require.False(t, anew)

	other, anew := old.Anew("101", Mark{Seq: 1, Time: then.Add(time.Second)})
	require.True(t, anew)
	require.Zero(t, other.Done)
	require.Nil(t, other.Last)
	require.Zero(t, other.ReplaceSeq)
	require.Equal(t, "101", other.Stream)

	stale, anew := old.Anew("99", Mark{Seq: 1, Time: then})
	require.False(t, anew, "the reader knows an older stream than the record")
	require.Equal(t, old, stale)

	restored, anew := old.Anew("100", Mark{Seq: 480, Time: then.Add(time.Hour)})
	require.True(t, anew)
	require.Equal(t, uint64(479), restored.Done.Seq)
	require.True(t, restored.IsDone(Mark{Seq: 470, Time: then.Add(-time.Hour)}), "it had ended before the backup was restored")
	require.False(t, restored.IsDone(Mark{Seq: 480, Time: then.Add(time.Hour)}))

	fresh, anew := Record{}.Anew("100", Mark{Seq: 1, Time: then})
	require.False(t, anew)
	require.Equal(t, "100", fresh.Stream)
}

func TestRejectedMarks(t *testing.T) {
	t.Parallel()
	rec := Record{}.Reject(3).Reject(5).Reject(3)
	require.Equal(t, []uint64{3, 5}, rec.Rejected)
	kept := rec
	require.Equal(t, []uint64{5}, rec.Unreject(3).Rejected)
	require.Equal(t, []uint64{3, 5}, kept.Rejected, "a change must not reach into the record it came from")
	require.Equal(t, []uint64{3}, rec.Finish(Finished{RunKey: RunKey{Seq: 5}}).Rejected)
}

func TestState(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	base := Record{CreatedAt: now, MaxAgeMS: 1000}
	with := func(f func(*Record)) Record { r := base; f(&r); return r }
	for want, rec := range map[State]Record{
		StateIdle:      base,
		StateRunning:   with(func(r *Record) { r.Run = &OpenRun{} }),
		StatePaused:    with(func(r *Record) { r.Paused = &Pause{} }),
		StateBackoff:   with(func(r *Record) { r.NotBefore = now.Add(1) }),
		StateExpired:   with(func(r *Record) { r.CreatedAt = now.Add(-1001 * time.Millisecond) }),
		StateCancelled: with(func(r *Record) { r.Tombstone = &Tombstone{Why: WhyCancelled}; r.Run = &OpenRun{} }),
	} {
		require.Equal(t, want, rec.State(now))
	}
}
