package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (p *place) publish(t *testing.T, line ...string) published {
	t.Helper()
	var got published
	p.good(t, &got, append([]string{"publish"}, line...)...)
	return got
}

func TestPublishAndWait(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	for name, c := range map[string]struct {
		line []string
		in   string
		code int
		want string
	}{
		"success":           {[]string{"new", "hello"}, "", 0, "you said: hello"},
		"from stdin":        {[]string{"new", "-"}, "from a pipe", 0, "you said: from a pipe"},
		"a dead letter":     {[]string{"new", "exit 3"}, "", 10, "demo agent"},
		"a timeout":         {[]string{"new", "sleep 1m", "--timeout", "100ms"}, "", 10, ""},
		"a TERM of its own": {[]string{"new", "term"}, "", 11, ""},
		"an old session":    {[]string{"new", "hello", "--created-at", time.Now().Add(-5 * time.Hour).Format(time.RFC3339)}, "", 12, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := p.runWith(t, c.in, append([]string{"publish", "--wait"}, c.line...)...)
			require.Equal(t, c.code, r.code, r.err)
			require.Contains(t, r.out, c.want)
			require.Contains(t, r.err, "published job", "progress is on stderr")
			require.Contains(t, r.err, "finished")
		})
	}
}

func TestPublishAndWaitInJSON(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	r := p.run(t, "publish", "new", "exit 3", "--wait", "-o", "json")
	require.Equal(t, 10, r.code)
	var got published
	require.NoError(t, json.Unmarshal([]byte(r.out), &got), r.out)
	require.True(t, strings.HasPrefix(got.Job, got.Session+":"), got.Job)
	require.EqualValues(t, 1, got.Seq)
	require.True(t, got.Final.Final)
	require.Equal(t, "crashed", got.Final.Outcome)
	require.Equal(t, 2, got.Final.Attempt)
	require.Equal(t, 3, *got.Final.Exit.Code)
	require.Empty(t, r.err, "with -o json nothing is told to people")
}

func TestCtrlCDetaches(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	session := newSession()
	c := begin(t, "", p.environ, "publish", session, "sleep 1s; lines 1", "--wait")
	c.says(t, "started")
	c.signals <- sigint
	r := c.wait(t)
	require.Equal(t, exitDetached, r.code)
	require.Contains(t, r.err, "curfew show "+session)
	p.until(t, session, func(row map[string]any) bool { return row["last_outcome"] == "succeeded" })
}

func TestCtrlCWhileReadingStdin(t *testing.T) {
	t.Parallel()
	c := &command{signals: make(chan os.Signal, 1), done: make(chan struct{})}
	in, out := io.Pipe() // nobody ever writes
	t.Cleanup(func() { out.Close() })
	a := &app{in: in, out: &c.out, err: &c.err, signals: c.signals}
	go func() {
		defer close(c.done)
		c.code = a.run(t.Context(), []string{"publish", "new", "-"})
	}()
	c.signals <- sigint
	require.Equal(t, exitDetached, c.wait(t).code)
}

func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	session := newSession()
	c := begin(t, "", p.environ, "publish", session, "sleep 1m", "--wait")
	c.says(t, "started")
	require.Equal(t, 0, p.run(t, "stop", session).code)
	require.Equal(t, 11, c.wait(t).code)
}

func TestIDs(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, "{}\n")
	require.Equal(t, 0, p.run(t, "setup").code)
	one, two := newSession(), newSession()

	a := p.publish(t, one, "x", "--id", "turn-1")
	require.Equal(t, one+":turn-1", a.Job)
	require.False(t, a.Duplicate)
	again := p.publish(t, one, "x", "--id", "turn-1")
	require.True(t, again.Duplicate)
	require.Equal(t, a.Seq, again.Seq)
	require.True(t, p.publish(t, one, "x", "--id", a.Job).Duplicate, "an id as publish printed it is the same id")
	require.False(t, p.publish(t, two, "x", "--id", "turn-1").Duplicate, "another session may use the same id")
	require.NotEqual(t, p.publish(t, one, "x").Job, p.publish(t, one, "x").Job, "without an id each job is its own")

	r := p.run(t, "publish", one, "x", "--id", "a b")
	require.Equal(t, 2, r.code, r.err)
}

func TestPublishAFile(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, "{}\n")
	require.Equal(t, 0, p.run(t, "setup").code)
	session := newSession()
	file := filepath.Join(p.dir, "jobs.jsonl")
	good := `{"session":"` + session + `","input":"one","id":"1"}` + "\n\n" + `{"session":"new","input":"two","agent":"claude","conflict":"replace"}`
	require.NoError(t, os.WriteFile(file, []byte(good), 0o600))
	r := p.run(t, "publish", "--file", file, "-o", "json")
	require.Equal(t, 0, r.code, r.err)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	require.Len(t, lines, 2, "one object a line")
	var first published
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &first))
	require.Equal(t, published{Session: session, Seq: 1, Job: session + ":1"}, first)

	for name, bad := range map[string]string{
		"line 2":         `{"session":"new","input":"a"}` + "\n" + `{"session":"NEW"}`,
		"unknown field":  `{"session":"new","prompt":"a"}`,
		"more than one":  `{"session":"new"} {"session":"new"}`,
		"conflict":       `{"session":"new","conflict":"maybe"}`,
		"canonical":      `{"input":"a"}`,
		"line 1: must b": `hello`,
	} {
		r := p.runWith(t, bad, "publish", "--file", "-")
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, name)
	}
	var rows []sessionRowJSON
	p.good(t, &rows, "sessions")
	require.Len(t, rows, 2, "of a file with a mistake nothing is published")
}

// sessionRowJSON is a session as programs read it.
type sessionRowJSON struct {
	Session, State, Worker, Agent string
	PID                           int
	Waiting                       uint64
}
