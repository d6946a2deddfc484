package queue

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// shortWindow lets a duplicate window end within a test.
func shortWindow(o *Options) { o.window = 200 * time.Millisecond }

// afterWindow waits until the server has forgotten the ids sent before.
func afterWindow(t *testing.T, q *Queue) {
	t.Helper()
	id := newSession()
	require.Eventually(t, func() bool {
		// A probe in the same streams: once its id is new again, so are all older ones. Each probe begins its own window.
		id += "x"
		first := raw(t, q, q.names.DeadSubject(newSession()), nats.Header{"Nats-Msg-Id": {id}}, "")
		var again uint64
		require.Eventually(t, func() bool {
			again = raw(t, q, q.names.DeadSubject(newSession()), nats.Header{"Nats-Msg-Id": {id}}, "")
			return again != first
		}, 60*time.Second, 50*time.Millisecond)
		require.NoError(t, q.erase(t.Context(), q.names.Dead, first))
		require.NoError(t, q.erase(t.Context(), q.names.Dead, again))
		return true
	}, 60*time.Second, 10*time.Millisecond)
}

func TestBuryKeepsTheJobAndAddsTheLetter(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	s := newSession()
	seq := raw(t, q, q.names.JobSubject(s), nats.Header{
		"Nats-Msg-Id": {"id-1"}, "nats-expected-last-sequence": {"99"}, "Nats-Rollup-X": {"all"},
		"Curfew-Agent": {"claude"}, "curfew-dead-reason": {"forged"}, "Curfew-Seq": {"1"}, "CURFEW-STDERR": {"!!"},
		"X-Odd": {"\x00\x01\xff\xfe", "second"}, "x-odd": {"other case"}, "Curfew-Unknown": {"kept"},
	}, "body\x00\xff")
	m := head(t, q, s)
	// Names that the server stored but nats.go would refuse to send.
	m.Header["bad name"] = []string{"x"}
	m.Header["bad\xff"] = []string{"x"}
	m.Header["X-Lines"] = []string{"a\r\nNats-Rollup: all\r\nb"}
	m.Header["Nats-Expected-Last-Sequence"] = []string{"99"}
	code := Letter{
		Job: "id-1", Reason: "crashed:\r\nexit \x1b[2J 137", Outcome: "crashed", Attempts: 5, Exit: "SIGKILL",
		Stderr: append(bytes.Repeat([]byte("x"), 5000), "\x00\xffend"...),
	}
	before := time.Now()
	require.NoError(t, q.Bury(ctx, m, code, false))
	require.EqualValues(t, seq, head(t, q, s).Seq, "the job is still there")

	all := letters(t, q, DeadFilter{})
	require.Len(t, all, 1)
	d := all[0]
	require.Equal(t, s, d.Session)
	require.Equal(t, "id-1", d.Job)
	require.Equal(t, seq, d.JobSeq)
	require.Equal(t, "crashed:  exit  [2J 137", d.Reason)
	require.Equal(t, "crashed", d.Outcome)
	require.Equal(t, 5, d.Attempts)
	require.Equal(t, "SIGKILL", d.Exit)
	require.WithinRange(t, d.At, before.Add(-time.Minute), time.Now().Add(time.Minute))
	require.Len(t, d.Stderr, 4096)
	require.True(t, bytes.HasSuffix(d.Stderr, []byte("\x00\xffend")))
	require.Equal(t, "body\x00\xff", string(d.Body))
	require.Equal(t, Header{
		"Curfew-Agent": {"claude"}, "X-Odd": {"\x00\x01\xff\xfe", "second"}, "x-odd": {"other case"}, "Curfew-Unknown": {"kept"},
		"X-Lines": {"a  Nats-Rollup: all  b"},
	}, d.Header)

	// On the wire: exactly the documented names, none of the server's but ours.
	stored, err := q.find(ctx, q.names.Dead, lookup{Seq: 1})
	require.NoError(t, err)
	require.Equal(t, q.names.DeadSubject(s), stored.Subject)
	for name := range stored.header {
		if strings.HasPrefix(strings.ToLower(name), "nats-") {
			require.Contains(t, []string{"Nats-Msg-Id", "Nats-Expected-Stream"}, name)
		}
	}
	require.Len(t, stored.header["Nats-Msg-Id"], 1)
	require.True(t, strings.HasPrefix(stored.header["Nats-Msg-Id"][0], "dead:"+string(q.Identity())+":1:"), stored.header["Nats-Msg-Id"][0])
	require.Equal(t, []string{"5"}, stored.header["Curfew-Attempts"])
	require.NotContains(t, stored.header, "curfew-dead-reason")
	require.NotContains(t, stored.header, "CURFEW-STDERR")
}

// TestEffectsAfterARestore: a stream that was restored gives its sequences out again. What follows from a new message is not
// taken for what followed from the one that had its sequence before.
func TestEffectsAfterARestore(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 30*time.Second)
	s := newSession()
	publish(t, q, NewJob{Session: s})
	before := head(t, q, s)
	after := *before
	after.Time = before.Time.Add(time.Second)
	for _, m := range []*Message{before, &after, before, &after} {
		require.NoError(t, q.Bury(ctx, m, Letter{Job: "j", Outcome: "crashed", Reason: "crashed"}, false))
		require.NoError(t, q.Final(ctx, m, Event{Type: "finished", Session: s, Seq: m.Seq}, false))
	}
	require.Len(t, letters(t, q, DeadFilter{}), 2)
	require.Len(t, events(t, q, s), 2)
}

func TestBuryOfAJobWithoutASession(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	raw(t, q, "curfew.jobs.NOPE.more", nil, "body")
	m, err := q.Next(ctx, 0)
	require.NoError(t, err)
	_, invalid := ParseJob(m)
	require.NoError(t, q.Bury(ctx, m, Letter{Job: "1", Reason: invalid.Error(), Outcome: "invalid"}, false))
	require.NoError(t, q.Final(ctx, m, Event{Type: "finished", Outcome: "invalid"}, false))
	all := letters(t, q, DeadFilter{Session: "invalid"})
	require.Len(t, all, 1)
	require.Empty(t, all[0].Session)
	require.Len(t, events(t, q, "invalid"), 1)
	s, err := q.find(ctx, q.names.Dead, lookup{Seq: 1})
	require.NoError(t, err)
	require.Equal(t, "curfew.dead.invalid", s.Subject)
	require.Equal(t, `"curfew.jobs.NOPE.more"`, s.header.first(subjectHeader))

	_, err = q.Replay(ctx, all[0], "")
	wrong := (*InvalidError)(nil)
	require.ErrorAs(t, err, &wrong)
	require.Len(t, letters(t, q, DeadFilter{}), 1)
	to := newSession()
	_, err = q.Replay(ctx, all[0], to)
	require.NoError(t, err)
	require.Equal(t, "body", string(head(t, q, to).Body))
}

func TestBuryAndFinalTwiceAreOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change      func(*Options)
		wait, again bool
		want        int
	}{
		"within the window":              {func(*Options) {}, false, false, 1},
		"within the window, looking":     {func(*Options) {}, false, true, 1},
		"after the window, looking":      {shortWindow, true, true, 1},
		"after the window, not looking!": {shortWindow, true, false, 2}, // why looking is needed
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t)
			q := declared(t, n, c.change)
			ctx := within(t, 20*time.Second)
			s := newSession()
			publish(t, q, NewJob{Session: s})
			publish(t, q, NewJob{Session: s})
			m := head(t, q, s)
			m2, err := q.Head(ctx, s, 2)
			require.NoError(t, err)
			do := func(q *Queue, m *Message, again bool) {
				require.NoError(t, q.Bury(ctx, m, Letter{Job: "j"}, again))
				require.NoError(t, q.Final(ctx, m, Event{Type: "finished", Session: s, Seq: m.Seq}, again))
			}
			do(q, m, false)
			if c.wait {
				afterWindow(t, q)
			}
			next := declared(t, n, c.change) // the next holder
			do(next, m, c.again)
			do(next, m2, true) // another job of that session is not mistaken for it
			do(next, m2, true)
			require.Len(t, letters(t, q, DeadFilter{}), c.want+1)
			all := events(t, q, s)
			require.Len(t, all, c.want+1)
			require.True(t, all[0].Final)
		})
	}
}

// TestBuryAgainLooksOnlySinceTheJob: letters that are older than the job are not read.
func TestBuryAgainLooksOnlySinceTheJob(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	s := newSession()
	for range 5 {
		raw(t, q, q.names.DeadSubject(s), nats.Header{"Nats-Msg-Id": {"dead:x:" + newSession()}}, "")
	}
	last, err := q.find(ctx, q.names.Dead, lookup{Last: q.names.DeadSubject(s)})
	require.NoError(t, err)
	found, err := q.sent(ctx, q.names.Dead, q.names.DeadSubject(s), last.header.first("Nats-Msg-Id"), last.Time.Add(time.Nanosecond))
	require.NoError(t, err)
	require.False(t, found)
	found, err = q.sent(ctx, q.names.Dead, q.names.DeadSubject(s), last.header.first("Nats-Msg-Id"), last.Time)
	require.NoError(t, err)
	require.True(t, found)
}

func TestSeqAt(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	at, err := q.seqAt(ctx, q.names.Dead, time.Now())
	require.NoError(t, err)
	require.EqualValues(t, 1, at)
	var times []time.Time
	for range 20 {
		seq := raw(t, q, q.names.DeadSubject(newSession()), nil, "")
		s, err := q.find(ctx, q.names.Dead, lookup{Seq: seq})
		require.NoError(t, err)
		times = append(times, s.Time)
	}
	gone := map[int]bool{1: true, 7: true, 8: true, 9: true}
	for i := range gone {
		require.NoError(t, q.erase(ctx, q.names.Dead, uint64(i)))
	}
	for i, when := range times {
		got, err := q.seqAt(ctx, q.names.Dead, when)
		require.NoError(t, err)
		s, err := q.find(ctx, q.names.Dead, lookup{Seq: got, Next: ">"})
		require.NoError(t, err)
		want := i + 1
		for gone[want] {
			want++
		}
		require.EqualValues(t, want, s.Seq)
	}
	end, err := q.seqAt(ctx, q.names.Dead, times[19].Add(1))
	require.NoError(t, err)
	require.EqualValues(t, 21, end)
}

func TestTheLargestJobCanBeBuriedAndReplayed(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 20*time.Second)
	s := newSession()
	huge := nats.Header{"X-Big": {strings.Repeat("h", 50<<10)}, "X-Small": {"1"}}
	for i := range 400 {
		huge.Add("X-Many", strings.Repeat("m", i%30))
	}
	for name, m := range map[string]*nats.Msg{
		"body":    {Header: nats.Header{}, Data: make([]byte, q.MaxJobBytes())},
		"headers": {Header: huge, Data: make([]byte, 10)},
	} {
		m.Subject = q.names.JobSubject(s)
		ack, err := q.js.PublishMsg(ctx, m)
		require.NoError(t, err, name)
		job, err := q.Get(ctx, ack.Sequence)
		require.NoError(t, err)
		noise := make([]byte, 9000)
		for i := range noise {
			noise[i] = byte(rand.N(256))
		}
		require.NoError(t, q.Bury(ctx, job, Letter{Job: "1", Reason: strings.Repeat("é\n", 5000), Outcome: "crashed", Stderr: noise}, false), name)
		require.NoError(t, q.Remove(ctx, job))
		all := letters(t, q, DeadFilter{})
		require.Len(t, all, 1)
		require.Equal(t, m.Data, all[0].Body)
		require.Equal(t, noise[len(noise)-4096:], all[0].Stderr)
		p, err := q.Replay(ctx, all[0], "")
		require.NoError(t, err, name)
		back, err := q.Get(ctx, p.Seq)
		require.NoError(t, err)
		require.Equal(t, m.Data, back.Body)
		require.NoError(t, q.Remove(ctx, back))
	}
}

func TestHeadersThatDoNotFitAreDroppedLargestFirst(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 20*time.Second)
	s := newSession()
	publish(t, q, NewJob{Session: s, Body: []byte("b")})
	m := head(t, q, s)
	m.Header = Header{"X-Big": {strings.Repeat("h", 40<<10)}, "X-Big2": {strings.Repeat("h", 41<<10)}, "X-Small": {"1"}}
	require.NoError(t, q.Bury(ctx, m, Letter{Job: "1", Reason: "r"}, false))
	d := letters(t, q, DeadFilter{})[0]
	require.Contains(t, d.Header, "X-Small")
	require.Contains(t, d.Header, "X-Big")
	require.NotContains(t, d.Header, "X-Big2")
	stored, err := q.find(ctx, q.names.Dead, lookup{Seq: 1})
	require.NoError(t, err)
	require.Equal(t, "1", stored.header.first(droppedHeader))

	// A body that leaves no room: it comes before all headers.
	m.Seq, m.Body = 2, make([]byte, int(q.nc.MaxPayload())-8<<10)
	require.NoError(t, q.Bury(ctx, m, Letter{Job: "2", Reason: "r", Stderr: make([]byte, 4096)}, false))
	d, err = q.DeadLetter(ctx, "2")
	require.NoError(t, err)
	require.Len(t, d.Body, len(m.Body))
	require.Contains(t, d.Header, "X-Small")
	require.Len(t, d.Header, 1)
	require.Len(t, d.Stderr, 4096)
}

func TestReplayRunsAsNewWithinTheWindow(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	s := newSession()
	p := publish(t, q, NewJob{Session: s, ID: s + ":1", Agent: "claude", Timeout: time.Minute, Body: []byte("again")})
	m := head(t, q, s)
	m.Header["Nats-Expected-Last-Subject-Sequence"] = []string{"77"} // carried along, it would have the replay refused
	require.NoError(t, q.Bury(ctx, m, Letter{Job: s + ":1", Reason: "crashed: 5 times", Outcome: "crashed", Stderr: []byte("x")}, false))
	require.NoError(t, q.Remove(ctx, m))
	d := letters(t, q, DeadFilter{})[0]

	again, err := q.Replay(ctx, d, "")
	require.NoError(t, err)
	require.False(t, again.Duplicate)
	require.Greater(t, again.Seq, p.Seq)
	now := head(t, q, s)
	j, err := ParseJob(now)
	require.NoError(t, err, "nothing of the letter is left")
	require.Equal(t, "claude", j.Agent)
	require.Equal(t, time.Minute, j.Timeout)
	require.Equal(t, "again", string(j.Body))
	require.True(t, strings.HasPrefix(j.ID, "retry:"), j.ID)
	require.Empty(t, letters(t, q, DeadFilter{}))

	_, err = q.Replay(ctx, d, "")
	require.ErrorIs(t, err, ErrNoMessage, "somebody replayed it already")
	_, err = q.Get(ctx, again.Seq+1)
	require.ErrorIs(t, err, ErrNoMessage)
}

// TestReplayTwiceIsOnce: the first one was stored, but died before it removed the letter.
func TestReplayTwiceIsOnce(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	s := newSession()
	publish(t, q, NewJob{Session: s})
	m := head(t, q, s)
	require.NoError(t, q.Bury(ctx, m, Letter{Job: "1"}, false))
	require.NoError(t, q.Remove(ctx, m))
	d := letters(t, q, DeadFilter{})[0]
	dead, err := q.streamInfo(ctx, q.names.Dead)
	require.NoError(t, err)
	first := raw(t, q, q.names.JobSubject(s), nats.Header{"Nats-Msg-Id": {"retry:" + string(identityOf(dead)) + ":" + d.ID}}, "")

	p, err := q.Replay(ctx, d, "")
	require.NoError(t, err)
	require.Equal(t, Published{ID: "retry:" + string(identityOf(dead)) + ":" + d.ID, Seq: first, Duplicate: true}, p)
	require.Empty(t, letters(t, q, DeadFilter{}))
	waiting, err := q.Waiting(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, waiting[s])
}

func TestReplayKeepsTheLetterWhenRefused(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t), func(o *Options) { o.Backlog = 1 })
	ctx := within(t, 60*time.Second)
	s := newSession()
	publish(t, q, NewJob{Session: s, CreatedAt: time.Now()})
	m := head(t, q, s)
	require.NoError(t, q.Bury(ctx, m, Letter{Job: "1"}, false))
	d := letters(t, q, DeadFilter{})[0]
	_, err := q.Replay(ctx, d, "")
	require.ErrorIs(t, err, ErrBacklogFull)
	require.Len(t, letters(t, q, DeadFilter{}), 1)

	// Another session must not inherit the age.
	to := newSession()
	_, err = q.Replay(ctx, d, to)
	require.NoError(t, err)
	j, err := ParseJob(head(t, q, to))
	require.NoError(t, err)
	require.Zero(t, j.CreatedAt)
}

func TestDeadLettersFilterAndDrop(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	a, b := newSession(), newSession()
	var middle time.Time
	for i, c := range []struct{ session, reason string }{{a, "crashed: 5 times"}, {b, "expired"}, {a, "expired"}} {
		publish(t, q, NewJob{Session: c.session})
		m, err := q.Get(ctx, uint64(i+1))
		require.NoError(t, err)
		require.NoError(t, q.Bury(ctx, m, Letter{Job: "j", Reason: c.reason}, false))
		if i == 1 {
			middle = letters(t, q, DeadFilter{Reason: "expired"})[0].At
		}
	}
	ids := func(f DeadFilter) (out []string) {
		for _, d := range letters(t, q, f) {
			out = append(out, d.ID)
		}
		return out
	}
	require.Equal(t, []string{"1", "2", "3"}, ids(DeadFilter{}))
	require.Equal(t, []string{"1", "3"}, ids(DeadFilter{Session: a}))
	require.Equal(t, []string{"2", "3"}, ids(DeadFilter{Reason: "expired"}))
	require.Equal(t, []string{"1"}, ids(DeadFilter{Reason: "crashed"}))
	require.Equal(t, []string{"2", "3"}, ids(DeadFilter{Since: middle}))
	require.Empty(t, ids(DeadFilter{Since: time.Now().Add(time.Hour)}))
	require.Error(t, q.DeadLetters(ctx, DeadFilter{Session: ">"}, nil))

	count := 0
	require.NoError(t, q.DeadLetters(ctx, DeadFilter{}, func(DeadLetter) error { count++; return ErrStop }))
	require.Equal(t, 1, count)
	d, err := q.DeadLetter(ctx, "2")
	require.NoError(t, err)
	require.Equal(t, b, d.Session)
	require.NoError(t, q.DropLetter(ctx, "2"))
	for _, bad := range []string{"2", "99", "0", "", "x", "-1"} {
		require.ErrorIs(t, q.DropLetter(ctx, bad), ErrNoMessage, bad)
		_, err := q.DeadLetter(ctx, bad)
		require.ErrorIs(t, err, ErrNoMessage, bad)
	}
	require.Equal(t, []string{"1", "3"}, ids(DeadFilter{}))
}

func TestReplayIDsTellDeadStreamsApart(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 20*time.Second)
	s := newSession()
	for round := range 2 {
		publish(t, q, NewJob{Session: s})
		m := head(t, q, s)
		require.NoError(t, q.Bury(ctx, m, Letter{Job: "1"}, false))
		require.NoError(t, q.Remove(ctx, m))
		d := letters(t, q, DeadFilter{})[0]
		require.Equal(t, "1", d.ID)
		p, err := q.Replay(ctx, d, "")
		require.NoError(t, err)
		require.False(t, p.Duplicate, round)
		require.NoError(t, q.Remove(ctx, head(t, q, s)))
		require.NoError(t, q.js.DeleteStream(ctx, q.names.Dead))
		require.NoError(t, q.Declare(ctx, terms()))
	}
}
