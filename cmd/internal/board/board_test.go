package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker"
)

// servers stand in for NATS: what a board sees of the real ones is the end-to-end tests' business.
type servers struct {
	mu      sync.Mutex
	away    bool
	records []registry.Snapshot // since the last question
	waiting map[string]uint64
	depth   queue.Depth
	halt    registry.Halt
	asked   int // for the records
	sampled bool
}

func (s *servers) do(f func(*servers)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

var errAway = errors.New("away")

func (s *servers) Up() bool { return true }

func (s *servers) Changes(_ context.Context, from registry.Cursor, anew func(), each func(registry.Snapshot, error)) (registry.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.away {
		return from, errAway
	}
	if s.asked == 1 {
		anew()
	}
	for _, r := range s.records {
		each(r, nil)
	}
	s.records = nil
	return from, nil
}

func (s *servers) Halt(context.Context) (h registry.Halt, _ error) {
	s.do(func(s *servers) { h = s.halt })
	return h, nil
}

func (s *servers) Depth(context.Context) (d queue.Depth, err error) {
	s.do(func(s *servers) {
		d, s.sampled = s.depth, true
		if s.away {
			err = errAway
		}
	})
	return d, err
}

func (s *servers) Waiting(context.Context) (w map[string]uint64, _ error) {
	s.do(func(s *servers) { w = s.waiting })
	return w, nil
}

func (s *servers) RollCall(_ context.Context, _ time.Duration, each func([]byte) bool) error {
	b, err := json.Marshal(worker.Presence{ID: "w1", Host: "h", State: worker.StatePulling, Live: 1, Slots: 4})
	if err != nil {
		return err
	}
	each(b)
	return nil
}

func start(t *testing.T, s *servers) *Board {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	b := New(s, s, logrus.NewEntry(log))
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { b.Run(ctx) })
	t.Cleanup(func() { stop(); ended.Wait() })
	return b
}

// until waits for a view like this.
func until(t *testing.T, b *Board, what string, like func(*View) bool) *View {
	t.Helper()
	end := time.Now().Add(60 * time.Second)
	for time.Now().Before(end) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		v := b.View(ctx)
		cancel()
		if like(v) {
			return v
		}
		time.Sleep(20 * time.Millisecond)
	}
	require.FailNow(t, "no view ever shows "+what)
	return nil
}

func record(session string, old time.Duration, change func(*registry.Record)) registry.Snapshot {
	rec := registry.Record{CreatedAt: time.Now().Add(-old), MaxAgeMS: (4 * time.Hour).Milliseconds(), Agent: "default"}
	if change != nil {
		change(&rec)
	}
	return registry.Snapshot{Session: session, Revision: 1, Record: rec}
}

func open(rec *registry.Record) {
	rec.Run = &registry.OpenRun{RunKey: registry.RunKey{Token: "t", Seq: 1, Attempt: 2}, Worker: "w1"}
}

func TestBoardShowsWhatRunsOrHasWork(t *testing.T) {
	t.Parallel()
	ids := make([]string, 7)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	done := func(rec *registry.Record) {
		rec.Last = &registry.Finished{Job: "j", Outcome: "succeeded", At: time.Now(), Result: "an answer", Reason: "words"}
	}
	s := &servers{
		waiting: map[string]uint64{ids[0]: 3, ids[5]: 2, ids[6]: 1, "": 9},
		depth:   queue.Depth{Jobs: 15, Letters: 4},
		halt:    registry.Halt{On: true, Reason: "a test"},
		records: []registry.Snapshot{
			record(ids[0], time.Hour, open),
			record(ids[1], 2*time.Hour, func(r *registry.Record) { r.Paused = &registry.Pause{Why: "budget"} }),
			record(ids[2], time.Minute, func(r *registry.Record) { r.NotBefore = time.Now().Add(time.Hour) }),
			record(ids[3], time.Minute, done), // at rest
			record(ids[4], 5*time.Hour, nil),  // over, and nothing is left of it
			record(ids[5], 5*time.Hour, nil),  // over, to be buried
			{Session: "not-a-uuid", Revision: 9, Record: registry.Record{}},
		},
	}
	b := start(t, s)
	v := until(t, b, "the sessions", func(v *View) bool { return len(v.Rows) == 5 && v.Totals.Workers == 1 })
	require.False(t, v.Stale)
	var shown []string
	for _, r := range v.Rows {
		shown = append(shown, r.Session)
	}
	require.Equal(t, []string{ids[5], ids[1], ids[0], ids[2], ids[6]}, shown, "the nearest curfew first, what nobody took up last")
	require.Equal(t, registry.StateRunning, v.Rows[2].State)
	require.Equal(t, "w1", v.Rows[2].Worker)
	require.Equal(t, 2, v.Rows[2].Attempts)
	require.EqualValues(t, 2, v.Rows[2].Waiting, "without the one that runs")
	require.Equal(t, Totals{Running: 1, Backoff: 1, Paused: 1, Queued: 1, Ending: 1, Jobs: 5, Workers: 1, Live: 1, Slots: 4}, v.Totals)
	require.EqualValues(t, 4, v.Letters)
	require.EqualValues(t, 15, v.Depth[len(v.Depth)-1].Jobs)
	require.True(t, v.Halt.On)
	require.Len(t, v.Ends, 1)
	require.NotContains(t, fmt.Sprintf("%+v", v), "an answer", "no output is kept")

	s.do(func(s *servers) { s.records, s.waiting = []registry.Snapshot{record(ids[0], time.Hour, done)}, nil })
	v = until(t, b, "the end of a run", func(v *View) bool { return len(v.Rows) == 2 })
	require.Len(t, v.Ends, 2)
	s.do(func(s *servers) { s.records = []registry.Snapshot{{Session: ids[1]}} }) // deleted
	until(t, b, "one less", func(v *View) bool { return len(v.Rows) == 1 })
}

func TestBoardIsBounded(t *testing.T) {
	t.Parallel()
	s := &servers{}
	for i := range 10_000 {
		s.records = append(s.records, record(uuid.NewString(), time.Duration(i)*time.Second, func(r *registry.Record) {
			open(r)
			r.Last = &registry.Finished{Outcome: "succeeded", At: time.Now().Add(-time.Duration(i) * time.Second)}
		}))
	}
	last := s.records[9_999].Session
	b := start(t, s)
	v := until(t, b, "the sessions", func(v *View) bool { return v.Totals.Running == 10_000 })
	require.Equal(t, MaxRows, len(v.Rows)) // not Len, which would print them all
	require.Equal(t, 10_000-MaxRows, v.More)
	require.Equal(t, last, v.Rows[0].Session)
	require.Len(t, v.Ends, maxEnds)
	for i := range maxEnds - 1 {
		require.False(t, v.Ends[i].At.Before(v.Ends[i+1].At))
	}
}

func TestBoardSaysThatTheServersAreAway(t *testing.T) {
	t.Parallel()
	s := &servers{records: []registry.Snapshot{record(uuid.NewString(), time.Hour, open)}}
	b := start(t, s)
	until(t, b, "the session", func(v *View) bool { return len(v.Rows) == 1 })
	s.do(func(s *servers) { s.away = true })
	v := until(t, b, "that it is stale", func(v *View) bool { return v.Stale })
	require.Len(t, v.Rows, 1, "what was seen last")
	require.False(t, v.AsOf.IsZero())
	s.do(func(s *servers) { s.away = false })
	until(t, b, "that it is not", func(v *View) bool { return !v.Stale })
}

// Many who look cost as much as one, and nobody nothing.
func TestBoardAsksSeldom(t *testing.T) {
	t.Parallel()
	s := &servers{}
	b := start(t, s)
	require.Eventually(t, func() (sampled bool) {
		s.do(func(s *servers) { sampled = s.sampled })
		return sampled
	}, 60*time.Second, 10*time.Millisecond)
	s.do(func(s *servers) { require.Zero(t, s.asked, "nobody looks") })
	began := time.Now()
	var looking sync.WaitGroup
	for range 20 {
		looking.Go(func() {
			for time.Since(began) < 2500*time.Millisecond {
				b.View(t.Context())
				time.Sleep(time.Millisecond)
			}
		})
	}
	looking.Wait()
	s.do(func(s *servers) { require.LessOrEqual(t, s.asked, int(time.Since(began)/refreshEvery)+2) })
}

func TestHistoryIsARing(t *testing.T) {
	t.Parallel()
	var h history
	now := time.Now()
	require.Empty(t, h.points(now))
	for i := range historySize + 10 {
		h.add(now.Add(time.Duration(i-historySize-10)*depthEvery), uint64(i)) //nolint:gosec // not negative
	}
	points := h.points(now)
	require.Len(t, points, historySize)
	require.EqualValues(t, 10, points[0].Jobs)
	require.EqualValues(t, historySize+9, points[historySize-1].Jobs)
	require.Len(t, h.points(now.Add(historySize*depthEvery/2)), historySize/2)
}
