package queue

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func TestParseJob(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	created := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	for name, c := range map[string]struct {
		header Header
		want   Job // besides Session, Seq, Time, Body
		reason string
	}{
		"nothing":            {nil, Job{ID: "7", Conflict: ConflictQueue}, ""},
		"all, any case":      {Header{"nats-msg-id": {"a:1"}, "CURFEW-AGENT": {"claude"}, "curfew-conflict": {"replace"}, "Curfew-Timeout": {"1m30s"}, "curfew-created-at": {"2024-05-06T07:08:09Z"}, "Traceparent": {trace}}, Job{ID: "a:1", Agent: "claude", Conflict: ConflictReplace, Timeout: 90 * time.Second, CreatedAt: created, Traceparent: trace}, ""},
		"blanks around":      {Header{"Curfew-Timeout": {"5m \t"}}, Job{ID: "7", Conflict: ConflictQueue, Timeout: 5 * time.Minute}, ""},
		"foreign headers":    {Header{"X-Any": {"1", "2"}, "Curfewish": {"x"}}, Job{ID: "7", Conflict: ConflictQueue}, ""},
		"bad trace":          {Header{"traceparent": {"00-zz\x00"}}, Job{ID: "7", Conflict: ConflictQueue}, ""},
		"two traces":         {Header{"traceparent": {trace, trace}}, Job{ID: "7", Conflict: ConflictQueue}, ""},
		"empty id":           {Header{"Nats-Msg-Id": {""}}, Job{ID: "7", Conflict: ConflictQueue}, ""},
		"reject":             {Header{"Curfew-Conflict": {"reject"}}, Job{ID: "7", Conflict: ConflictReject}, ""},
		"unknown":            {Header{"Curfew-Agnet": {"x"}}, Job{ID: "7", Conflict: ConflictQueue}, `"Curfew-Agnet" is unknown`},
		"letter's own":       {Header{"Curfew-Dead-Reason": {"x"}}, Job{ID: "7", Conflict: ConflictQueue}, `"Curfew-Dead-Reason" is unknown`},
		"repeated":           {Header{"Curfew-Agent": {"a", "a"}}, Job{ID: "7", Conflict: ConflictQueue}, `"Curfew-Agent" is given 2 times`},
		"repeated by case":   {Header{"Curfew-Timeout": {"1s"}, "curfew-timeout": {"1s"}}, Job{ID: "7", Conflict: ConflictQueue}, `Timeout" is given 2 times`},
		"repeated id":        {Header{"Nats-Msg-Id": {"a"}, "nats-msg-id": {"b"}}, Job{ID: "7", Conflict: ConflictQueue}, "Nats-Msg-Id is given 2 times"},
		"zero timeout":       {Header{"Curfew-Timeout": {"0s"}}, Job{ID: "7", Conflict: ConflictQueue}, "Curfew-Timeout"},
		"negative timeout":   {Header{"Curfew-Timeout": {"-1s"}}, Job{ID: "7", Conflict: ConflictQueue}, "Curfew-Timeout"},
		"no unit":            {Header{"Curfew-Timeout": {"5"}}, Job{ID: "7", Conflict: ConflictQueue}, "Curfew-Timeout"},
		"no time":            {Header{"Curfew-Created-At": {"yesterday"}}, Job{ID: "7", Conflict: ConflictQueue}, "Curfew-Created-At"},
		"no conflict":        {Header{"Curfew-Conflict": {"Queue"}}, Job{ID: "7", Conflict: ConflictQueue}, "Curfew-Conflict"},
		"empty agent":        {Header{"Curfew-Agent": {""}}, Job{ID: "7", Conflict: ConflictQueue}, "Curfew-Agent"},
		"agent breaks lines": {Header{"Curfew-Agent": {"a\x1b[2J"}}, Job{ID: "7", Conflict: ConflictQueue}, `"a\x1b[2J"`},
		"bad id":             {Header{"Nats-Msg-Id": {"../etc"}}, Job{ID: "7", Conflict: ConflictQueue}, "Nats-Msg-Id"},
		"long id":            {Header{"Nats-Msg-Id": {strings.Repeat("a", 129)}}, Job{ID: "7", Conflict: ConflictQueue}, "Nats-Msg-Id"},
		"id kept":            {Header{"Nats-Msg-Id": {"good"}, "Curfew-X": {"1"}}, Job{ID: "good", Conflict: ConflictQueue}, "Curfew-X"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &Message{Subject: "ns.jobs.x", Session: newSession(), Seq: 7, Time: time.Unix(1, 2), Header: c.header, Body: []byte("in")}
			c.want.Session, c.want.Seq, c.want.Time, c.want.Body = m.Session, 7, m.Time, m.Body
			j, err := ParseJob(m)
			if c.reason == "" {
				require.NoError(t, err)
			} else {
				invalid := (*InvalidError)(nil)
				require.ErrorAs(t, err, &invalid)
				require.Contains(t, invalid.Reason, c.reason)
				require.NotContains(t, invalid.Reason, "\x1b")
			}
			require.Equal(t, c.want, j)
		})
	}
	_, err := ParseJob(&Message{Subject: "ns.jobs.NOPE", Seq: 1})
	require.ErrorContains(t, err, `"ns.jobs.NOPE"`)
	_, err = ParseJob(&Message{Session: newSession(), Wake: true})
	require.Error(t, err)
	_, err = ParseJob(&Message{Session: newSession(), malformed: true})
	require.ErrorContains(t, err, "headers")
}

func TestReadHeader(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		block     string
		want      Header
		malformed bool
	}{
		"none":           {"", nil, false},
		"good":           {"NATS/1.0\r\nA: 1\r\na:2\r\nA:\t 3 \r\n\r\n", Header{"A": {"1", "3 "}, "a": {"2"}}, false},
		"odd bytes":      {"NATS/1.0\r\nA b\xff: \x00\xfe\nx\r\n\r\n", Header{"A b\xff": {"\x00\xfe\nx"}}, false},
		"no colon":       {"NATS/1.0\r\njunk\r\nA: 1\r\n\r\n", Header{"A": {"1"}}, true},
		"no end":         {"NATS/1.0\r\nA: 1\r\n", Header{"A": {"1"}}, true},
		"no last line":   {"NATS/1.0\r\nA: 1", Header{}, true},
		"another magic":  {"HTTP/1.1\r\nA: 1\r\n\r\n", Header{}, true},
		"behind the end": {"NATS/1.0\r\n\r\nA: 1\r\n", Header{}, true},
		"status":         {"NATS/1.0 503\r\n\r\n", Header{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, malformed := readHeader([]byte(c.block))
			require.Equal(t, c.want, h)
			require.Equal(t, c.malformed, malformed)
		})
	}
}

func TestPublishedJobComesBackAsGiven(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	s := newSession()
	want := NewJob{
		Session: s, ID: s + ":one", Agent: "codex", Conflict: ConflictReject, Timeout: 90 * time.Second,
		CreatedAt: time.Now().Add(-time.Hour).UTC(), Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		Body: []byte("\x00\xff body"),
	}
	p := publish(t, q, want)
	require.False(t, p.Duplicate)
	again := publish(t, q, want)
	require.Equal(t, Published{ID: p.ID, Seq: p.Seq, Duplicate: true}, again)
	j, err := ParseJob(head(t, q, s))
	require.NoError(t, err)
	require.True(t, want.CreatedAt.Equal(j.CreatedAt))
	require.WithinDuration(t, time.Now(), j.Time, time.Minute)
	require.Equal(t, want.ID, j.ID)
	require.Equal(t, want.Agent, j.Agent)
	require.Equal(t, want.Conflict, j.Conflict)
	require.Equal(t, want.Timeout, j.Timeout)
	require.Equal(t, want.Traceparent, j.Traceparent)
	require.Equal(t, want.Body, j.Body)
	require.Equal(t, p.Seq, j.Seq)
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t), func(o *Options) { o.Backlog = 2 })
	ctx := within(t, 60*time.Second)
	s := newSession()
	for name, j := range map[string]NewJob{
		"session":  {Session: strings.ToUpper(s)},
		"id":       {Session: s, ID: "a b"},
		"agent":    {Session: s, Agent: "a\nb"},
		"conflict": {Session: s, Conflict: "maybe"},
		"timeout":  {Session: s, Timeout: -1},
		"trace":    {Session: s, Traceparent: "x"},
	} {
		_, err := q.Publish(ctx, j)
		invalid := (*InvalidError)(nil)
		require.ErrorAs(t, err, &invalid, name)
	}
	_, err := q.Publish(ctx, NewJob{Session: s, Body: make([]byte, q.MaxJobBytes()+1)})
	large := (*TooLargeError)(nil)
	require.ErrorAs(t, err, &large)
	require.Equal(t, q.MaxJobBytes(), large.Max)

	publish(t, q, NewJob{Session: s})
	publish(t, q, NewJob{Session: s})
	_, err = q.Publish(ctx, NewJob{Session: s})
	require.ErrorIs(t, err, ErrBacklogFull)
	require.Contains(t, err.Error(), "2 unfinished jobs")
	publish(t, q, NewJob{Session: newSession()})
}

func TestFullStreamIsNotAFullBacklog(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	st, err := q.js.Stream(ctx, q.names.Jobs)
	require.NoError(t, err)
	cfg := st.CachedInfo().Config
	cfg.MaxMsgs = 1
	_, err = q.js.UpdateStream(ctx, cfg)
	require.NoError(t, err)
	publish(t, q, NewJob{Session: newSession()})
	_, err = q.Publish(ctx, NewJob{Session: newSession()})
	require.ErrorIs(t, err, ErrStreamFull)
	require.NotErrorIs(t, err, ErrBacklogFull)
}

// TestPublishTriesAgainOnlyWithAnID lets a server take the publish without answering, once.
func TestPublishTriesAgainOnlyWithAnID(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q := connect(t, n)
	s := newSession()
	// No stream yet: something listens on the subject and answers only the second time.
	var asked counted
	mute, err := q.nc.Subscribe(q.names.AllJobs, func(m *nats.Msg) {
		if asked.n.Add(1)%2 == 0 {
			_ = m.Respond([]byte(`{"stream":"CURFEW_JOBS","seq":5}`))
		}
	})
	require.NoError(t, err)
	defer func() { _ = mute.Unsubscribe() }()
	p := publish(t, q, NewJob{Session: s, ID: "once"})
	require.EqualValues(t, 5, p.Seq)
	require.EqualValues(t, 2, asked.n.Load())

	_, err = q.Publish(within(t, 60*time.Second), NewJob{Session: s})
	require.ErrorContains(t, err, "may have been stored")
	require.EqualValues(t, 3, asked.n.Load())

	// The same when the connection goes down with the answer: at once, not after a timeout.
	asked.n.Store(0)
	failed := make(chan error, 1)
	start := time.Now()
	go func() {
		_, err := q.Publish(t.Context(), NewJob{Session: s})
		failed <- err
	}()
	asked.reaches(t, 1)
	id, err := q.nc.GetClientID()
	require.NoError(t, err)
	require.NoError(t, n.s.DisconnectClientByID(id))
	require.ErrorContains(t, <-failed, "may have been stored")
	require.Less(t, time.Since(start), attemptTime)
	require.EqualValues(t, 1, asked.n.Load())
}
