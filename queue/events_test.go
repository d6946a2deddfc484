package queue

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

func TestEventJSON(t *testing.T) {
	t.Parallel()
	zero := 0
	at := time.Date(2024, 5, 6, 9, 8, 9, 123456789, time.FixedZone("", 7200))
	for want, e := range map[string]Event{
		`{"type":"started","session":"s","seq":3,"job":"j","agent":"a","attempt":1,"fence":9,"worker":"w","at":"2024-05-06T07:08:09.123Z"}`: {Type: "started", Session: "s", Seq: 3, Job: "j", Agent: "a", Attempt: 1, Fence: 9, Worker: "w", At: at},
		`{"type":"finished","final":true,"outcome":"succeeded","reason":"r","exit":{"code":0},"result":{"text":"hi","truncated":false},"usage":{"cost_usd":0.5,"input_tokens":1,"output_tokens":0},"at":"2024-05-06T07:08:09.123Z"}`: {
			Type: "finished", Final: true, At: at, Outcome: "succeeded", Reason: "r",
			Exit: &EventExit{Code: &zero}, Result: &EventResult{Text: "hi"}, Usage: &EventUsage{CostUSD: .5, InputTokens: 1},
		},
		`{"type":"retrying","exit":{"signal":"SIGKILL"},"retry_in_ms":1500,"purged":2,"at":"2024-05-06T07:08:09.000Z"}`: {
			Type: "retrying", Exit: &EventExit{Signal: "SIGKILL"}, RetryInMS: 1500, Purged: 2, At: at.Truncate(time.Second),
		},
	} {
		b, err := json.Marshal(e)
		require.NoError(t, err)
		require.JSONEq(t, want, string(b))
		require.NotContains(t, string(b), "null")
		var back Event
		require.NoError(t, json.Unmarshal(b, &back))
		require.True(t, back.At.Equal(e.At.Truncate(time.Millisecond)))
		back.At = e.At
		require.Equal(t, e, back)
	}
	require.Error(t, json.Unmarshal([]byte(`{"type":"x"}`), &Event{}))
}

func TestAFinalEventAlwaysFits(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t, func(o *server.Options) { o.MaxPayload = 64 << 10 }))
	ctx := within(t, 60*time.Second)
	s := newSession()
	publish(t, q, NewJob{Session: s})
	e := Event{Type: "finished", Session: s, Result: &EventResult{Text: strings.Repeat("é\x01", 20<<10)}}
	require.NoError(t, q.Final(ctx, head(t, q, s), e, false))
	got := events(t, q, s)[0]
	require.True(t, got.Result.Truncated)
	require.NotEmpty(t, got.Result.Text)
	require.True(t, strings.HasPrefix(e.Result.Text, got.Result.Text))
	require.False(t, e.Result.Truncated, "the caller's is not touched")
}

func TestEventsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	s := newSession()
	publish(t, q, NewJob{Session: s})
	m := head(t, q, s)
	const before = 2000 // the outbox is still at it when the final one is published
	for i := range before {
		q.Emit(Event{Type: "started", Session: s, Attempt: i + 1})
	}
	require.NoError(t, q.Final(ctx, m, Event{Type: "finished", Session: s}, false))
	for range 2 {
		require.NoError(t, q.Announce(ctx, "expired:"+s, Event{Type: "expired", Session: s, Purged: 3}))
	}
	all := events(t, q, s)
	require.Len(t, all, before+2)
	for i := range before {
		require.Equal(t, i+1, all[i].Attempt)
		require.False(t, all[i].Final)
		require.WithinDuration(t, time.Now(), all[i].At, time.Minute)
	}
	require.True(t, all[before].Final)
	require.Equal(t, "expired", all[before+1].Type)

	other := newSession()
	raw(t, q, q.names.EventSubject(other), nil, "no json")
	require.NoError(t, q.Announce(ctx, "", Event{Type: "warning", Session: other}))
	require.Len(t, events(t, q, other), 1)
	require.Len(t, events(t, q, ""), before+3)
	since := 0
	require.NoError(t, q.Events(ctx, "", time.Now().Add(time.Hour), false, func(Event) error { since++; return nil }))
	require.Zero(t, since)
	require.Error(t, q.Events(ctx, "x", time.Time{}, false, nil))
	count := 0
	require.NoError(t, q.Events(ctx, s, time.Time{}, false, func(Event) error { count++; return ErrStop }))
	require.Equal(t, 1, count)
}

// TestFollowersSurviveARestart: all events and chunks once and in order, over a restart and a stream made anew.
func TestFollowersSurviveARestart(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q := declared(t, n)
	reader := connect(t, n)
	ctx := within(t, 40*time.Second)
	s := newSession()
	var mu sync.Mutex
	var seen []int
	var offsets []uint64
	var count, chunks counted
	ended := make(chan error, 2)
	announce := func(i int) {
		require.NoError(t, q.Announce(ctx, s+strconv.Itoa(i), Event{Type: "started", Session: s, Attempt: i}))
	}
	write := func(i uint64) {
		require.NoError(t, q.WriteOutput(Chunk{Session: s, Job: "j", Stream: "stdout", Fence: 4, Offset: i, Body: []byte("x")}))
		require.NoError(t, q.output.settled(ctx))
	}
	announce(1)
	write(1)
	go func() {
		ended <- reader.Events(ctx, s, time.Now().Add(-time.Hour), true, func(e Event) error {
			mu.Lock()
			seen = append(seen, e.Attempt)
			mu.Unlock()
			if count.n.Add(1); e.Attempt == 6 {
				return ErrStop
			}
			return nil
		})
	}()
	go func() {
		ended <- reader.Output(ctx, s, true, func(c Chunk) error {
			mu.Lock()
			offsets = append(offsets, c.Offset)
			mu.Unlock()
			if chunks.n.Add(1); c.Offset == 4 {
				return ErrStop
			}
			return nil
		})
	}()
	announce(2)
	write(2)
	count.reaches(t, 2)
	chunks.reaches(t, 2)
	n.stop()
	n.start(t)
	announce(3)
	write(3)
	count.reaches(t, 3)
	chunks.reaches(t, 3)
	announce(4)
	count.reaches(t, 4)
	require.NoError(t, q.js.DeleteStream(ctx, q.names.Events))
	announce(5) // makes it again
	count.reaches(t, 5)
	announce(6)
	write(4)
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
	require.Equal(t, []int{1, 2, 3, 4, 5, 6}, seen)
	require.Equal(t, []uint64{1, 2, 3, 4}, offsets)
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	require.NoError(t, q.Events(within(t, 50*time.Millisecond), "", time.Time{}, true, func(Event) error { return nil }))
	require.Eventually(t, func() bool {
		info, err := q.streamInfo(t.Context(), q.names.Events)
		return err == nil && info.State.Consumers == 0
	}, 60*time.Second, 5*time.Millisecond)
}
