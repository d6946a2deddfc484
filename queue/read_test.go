package queue

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHeadGetNextWaiting(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	a, b := newSession(), newSession()
	_, err := q.Head(ctx, a, 0)
	require.ErrorIs(t, err, ErrNoMessage)
	_, err = q.Next(ctx, 0)
	require.ErrorIs(t, err, ErrNoMessage)

	require.NoError(t, q.Wake(ctx, a, 9)) // 1
	for _, s := range []string{a, b, a} { // 2 3 4
		publish(t, q, NewJob{Session: s})
	}
	raw(t, q, "curfew.jobs.a.b", nil, "stray") // 5

	for from, want := range map[uint64]uint64{0: 2, 1: 2, 2: 2, 3: 4, 4: 4} {
		m, err := q.Head(ctx, a, from)
		require.NoError(t, err)
		require.Equal(t, want, m.Seq, from)
		require.Equal(t, a, m.Session)
		require.False(t, m.Wake)
	}
	_, err = q.Head(ctx, a, 5)
	require.ErrorIs(t, err, ErrNoMessage)

	w, err := q.Get(ctx, 1)
	require.NoError(t, err)
	require.True(t, w.Wake)
	require.Equal(t, a, w.Session)
	require.EqualValues(t, 9, w.WakeSeq)
	_, err = q.Get(ctx, 6)
	require.ErrorIs(t, err, ErrNoMessage)
	_, err = q.Get(ctx, 0)
	require.ErrorIs(t, err, ErrNoMessage)

	var seen []uint64
	for m, err := q.Next(ctx, 0); err == nil; m, err = q.Next(ctx, m.Seq+1) {
		seen = append(seen, m.Seq)
	}
	require.Equal(t, []uint64{2, 3, 4, 5}, seen)

	waiting, err := q.Waiting(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{a: 2, b: 1, "": 1}, waiting)
}

func TestRemove(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	s := newSession()
	publish(t, q, NewJob{Session: s})
	publish(t, q, NewJob{Session: s})
	m := head(t, q, s)
	require.NoError(t, q.Remove(ctx, m))
	require.EqualValues(t, 2, head(t, q, s).Seq)
	require.NoError(t, q.Remove(ctx, m), "gone is fine")
	require.NoError(t, q.Remove(ctx, &Message{Seq: 99, Subject: m.Subject}))
}

func TestRemoveSparesAStranger(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q := declared(t, n)
	_ = hints(t, q) // listens for the stream's end
	ctx := within(t, 20*time.Second)
	s := newSession()
	publish(t, q, NewJob{Session: s})
	m := head(t, q, s)
	before, epoch := q.Identity(), q.Epoch()

	other := connect(t, n)
	require.NoError(t, other.js.DeleteStream(ctx, q.names.Jobs))
	require.NoError(t, other.Declare(ctx, terms()))
	publish(t, other, NewJob{Session: s, Body: []byte("stranger")})
	require.Eventually(t, func() bool { return q.Epoch() > epoch }, 60*time.Second, time.Millisecond)

	require.NoError(t, q.Remove(ctx, m))
	now := head(t, q, s)
	require.Equal(t, m.Seq, now.Seq)
	require.Equal(t, "stranger", string(now.Body))
	require.NotEqual(t, before, q.Identity())
	require.NoError(t, q.Remove(ctx, now))
	_, err := q.Head(ctx, s, 0)
	require.ErrorIs(t, err, ErrNoMessage)
}

// TestAStreamMadeAnewRaisesTheEpoch also where nobody listens for advisories.
func TestAStreamMadeAnewRaisesTheEpoch(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q, other := declared(t, n), connect(t, n)
	ctx := within(t, 20*time.Second)
	identity, epoch := q.Identity(), q.Epoch()
	require.NoError(t, other.js.DeleteStream(ctx, q.names.Jobs))
	require.NoError(t, other.Declare(ctx, terms()))
	require.Equal(t, epoch, q.Epoch())
	require.NoError(t, q.look(ctx))
	require.Greater(t, q.Epoch(), epoch)
	require.NotEqual(t, identity, q.Identity())
	st, err := q.fresh(ctx)
	require.NoError(t, err)
	require.Equal(t, q.Epoch(), st.epoch)
}

func TestReadsMakeADeletedStreamAgain(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 20*time.Second)
	s := newSession()
	publish(t, q, NewJob{Session: s})
	m := head(t, q, s)
	epoch := q.Epoch()
	require.NoError(t, q.js.DeleteStream(ctx, q.names.Jobs))
	_, err := q.Head(ctx, s, 0)
	require.ErrorIs(t, err, ErrNoMessage)
	require.Greater(t, q.Epoch(), epoch)
	require.NoError(t, q.Remove(ctx, m))
	publish(t, q, NewJob{Session: s})
	require.NoError(t, q.js.DeleteStream(ctx, q.names.Dead))
	require.NoError(t, q.Bury(ctx, head(t, q, s), Letter{Job: "j"}, true))
	require.Len(t, letters(t, q, DeadFilter{}), 1)
}

// TestUnreadableHeadersDoNotBlockASession publishes with the bare protocol what no client library would.
func TestUnreadableHeadersDoNotBlockASession(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q := declared(t, n)
	s := newSession()
	conn, err := (&net.Dialer{}).DialContext(within(t, 60*time.Second), "tcp", n.s.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	block := "NATS/1.0\r\nno colon here\r\nX-Good: yes\r\n"
	_, err = fmt.Fprintf(conn, "CONNECT {\"headers\":true,\"verbose\":false}\r\nHPUB %s %d %d\r\n%sbody\r\nPING\r\n",
		q.names.JobSubject(s), len(block), len(block)+4, block)
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	for line := ""; !strings.HasPrefix(line, "PONG"); {
		line, err = r.ReadString('\n')
		require.NoError(t, err)
	}
	h := hints(t, q)
	x := next(t, h, 5*time.Second)
	require.Equal(t, s, x.Session)
	m := head(t, q, s)
	require.Equal(t, "body", string(m.Body))
	_, err = ParseJob(m)
	require.ErrorContains(t, err, "headers cannot be read")
	ctx := within(t, 60*time.Second)
	require.NoError(t, q.Bury(ctx, m, Letter{Job: "1", Reason: err.Error(), Outcome: "invalid"}, false))
	require.NoError(t, q.Remove(ctx, m))
	all := letters(t, q, DeadFilter{Session: s})
	require.Len(t, all, 1)
	require.Equal(t, []string{"yes"}, all[0].Header["X-Good"])
}

func TestNamespacesDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	day := declared(t, n, func(o *Options) { o.Namespace = "day" })
	night := declared(t, n, func(o *Options) { o.Namespace = "night-2" })
	ctx := within(t, 20*time.Second)
	s := newSession()
	hd, hn := hints(t, day), hints(t, night)
	var arrived, nudged counted
	stop, err := night.Arrivals(s, func() { arrived.n.Add(1) })
	require.NoError(t, err)
	defer stop()
	stop2, err := night.Nudges(func(string) { nudged.n.Add(1) })
	require.NoError(t, err)
	defer stop2()

	publish(t, day, NewJob{Session: s, ID: "same"})
	require.NoError(t, day.Nudge(s))
	require.NoError(t, day.Wake(ctx, s, 1))
	x := next(t, hd, 5*time.Second)
	require.Equal(t, "day.jobs."+s, x.Subject)
	require.Equal(t, s, x.Session)
	m := head(t, day, s)
	require.NoError(t, day.Bury(ctx, m, Letter{Job: "same", Reason: "r"}, false))
	require.NoError(t, day.Final(ctx, m, Event{Type: "finished", Session: s}, false))
	require.NoError(t, day.WriteOutput(Chunk{Session: s, Body: []byte("x")}))

	_, err = night.Head(ctx, s, 0)
	require.ErrorIs(t, err, ErrNoMessage)
	require.Empty(t, letters(t, night, DeadFilter{}))
	require.Empty(t, events(t, night, ""))
	require.False(t, publish(t, night, NewJob{Session: s, ID: "same"}).Duplicate)
	require.Equal(t, "night-2.jobs."+s, next(t, hn, 5*time.Second).Subject)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = hn.Next(short)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	arrived.reaches(t, 1)
	require.EqualValues(t, 1, arrived.n.Load())
	require.Zero(t, nudged.n.Load())
}

func TestNudgesAndArrivals(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q, other := declared(t, n), connect(t, n)
	s := newSession()
	nudged := make(chan string, 8)
	stop, err := q.Nudges(func(session string) { nudged <- session })
	require.NoError(t, err)
	var arrived counted
	stopArrivals, err := q.Arrivals(s, func() { arrived.n.Add(1) })
	require.NoError(t, err)
	require.NoError(t, q.nc.Flush())

	require.NoError(t, other.nc.Publish("curfew.control.nobody", nil))
	require.NoError(t, other.Nudge(s))
	require.Equal(t, s, <-nudged)
	publish(t, other, NewJob{Session: newSession()})
	publish(t, other, NewJob{Session: s})
	arrived.reaches(t, 1)
	stopArrivals()
	stop()
	publish(t, other, NewJob{Session: s})
	require.NoError(t, q.nc.Flush())
	require.EqualValues(t, 1, arrived.n.Load())
	require.Error(t, q.Nudge("x"))
	_, err = q.Arrivals("*", func() {})
	require.Error(t, err)
}

func TestWakesBeyondTheLimitAreFine(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t), func(o *Options) { o.Backlog = 1 })
	s := newSession()
	for range 3 {
		require.NoError(t, q.Wake(within(t, 60*time.Second), s, 4))
	}
	x := next(t, hints(t, q), 5*time.Second)
	require.True(t, x.Wake)
	require.EqualValues(t, 4, x.WakeSeq)
}
