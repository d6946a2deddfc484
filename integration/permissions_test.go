package integration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPermissions: with the users of docs/operations.md each role can give its commands, and nothing else.
func TestPermissions(t *testing.T) {
	t.Parallel()
	share(t)
	o := newOffice(t)
	o.must("operator", "setup")
	worker := o.worker("w1")
	publish := func(args ...string) (s stored) {
		require.NoError(t, json.Unmarshal([]byte(o.must("producer", append([]string{"publish", "-o", "json"}, args...)...)), &s))
		return s
	}
	letters := func(session string) (rows []letterRow) {
		require.NoError(t, json.Unmarshal([]byte(o.must("operator", "dead", "ls", "-o", "json", "--session", session)), &rows))
		return rows
	}
	show := func(session string) string { return o.must("viewer", "show", session, "-o", "json") }

	// A producer publishes and hears of the end; an agent has nothing of its worker's credentials.
	done := publish("new", "env", "--wait")
	require.Equal(t, "succeeded", done.Final.Outcome)
	require.Contains(t, done.Final.Result.Text, "CURFEW_SESSION="+done.Session)
	require.NotContains(t, done.Final.Result.Text, "Secret7")
	require.NotContains(t, done.Final.Result.Text, "_URL")
	buried := o.as("producer", "publish", "new", "exit 7", "--wait", "-o", "json")
	require.Equal(t, 10, buried.code, "%s%s", buried.stdout, buried.stderr)
	var dead stored
	require.NoError(t, json.Unmarshal([]byte(buried.stdout), &dead))

	// A viewer looks.
	require.Contains(t, o.must("viewer", "sessions", "--all"), done.Session)
	require.Contains(t, show(done.Session), `"succeeded"`)
	require.True(t, poll(patience, func() bool {
		return strings.Contains(o.must("viewer", "logs", done.Session), "CURFEW_SESSION="+done.Session)
	}))
	require.Contains(t, o.must("viewer", "workers", "ls"), "w1")

	// An operator gives orders. What a worker shows on its page it may read.
	live := publish("new", "sleep 600")
	running := func() bool { return strings.Contains(show(live.Session), `"running"`) }
	require.True(t, poll(patience, running))
	require.True(t, poll(patience, func() bool { return strings.Contains(get(t, "http://"+hostPort(o.hport)+"/"), live.Session) }), "the page has the session")
	o.must("operator", "extend", live.Session, "1h")
	require.Contains(t, o.must("operator", "halt", "--reason", "drill"), "halted")
	require.True(t, poll(patience, func() bool { return !running() }))
	o.must("operator", "unhalt")
	require.True(t, poll(patience, running), "the job that was halted runs again")
	o.must("operator", "stop", live.Session)
	require.True(t, poll(patience, func() bool { return strings.Contains(show(live.Session), `"stopped"`) }))
	o.must("operator", "cancel", live.Session)

	rows := letters(dead.Session)
	require.Len(t, rows, 1)
	require.Contains(t, o.must("operator", "dead", "show", rows[0].ID), "exit 7")
	o.must("operator", "dead", "retry", rows[0].ID)
	require.True(t, poll(patience, func() bool { now := letters(dead.Session); return len(now) == 1 && now[0].ID != rows[0].ID }), "it fails again")
	o.must("operator", "dead", "drop", letters(dead.Session)[0].ID)

	// The sweeper: the worker's, which finds what nobody may run any more, and the operator's.
	old := publish("new", "true", "--created-at", time.Now().Add(-13*time.Hour).UTC().Format(time.RFC3339))
	require.True(t, poll(patience, func() bool { return len(letters(old.Session)) == 1 }))
	short := publish("new", "true", "--agent", "short", "--wait") // its session lives 15 s, and nobody touches any more
	code, polite := worker.end(patience)
	require.True(t, polite)
	require.Zero(t, code)
	require.NotContains(t, strings.ToLower(worker.output()), "violation", "the worker lacks a permission")
	require.NotContains(t, worker.output(), "NOPERM")
	require.NotContains(t, o.nats.output(), "Violation", "a role lacks a permission")
	publish(short.Session, "true", "--agent", "short")
	o.must("operator", "sweep", "--dry-run")
	require.True(t, poll(patience, func() bool { o.must("operator", "sweep"); return len(letters(short.Session)) > 0 }))

	o.refuses(done.Session, dead.Session, letters(old.Session)[0].ID)
}

// letterRow is a line of dead ls.
type letterRow struct {
	ID string `json:"id"`
}

// refuses: what a role must not do is refused, at once and with a word on what is missing.
func (o *office) refuses(session, other, letter string) {
	o.t.Helper()
	for _, c := range []struct {
		role    string
		args    []string
		missing string // the permission that the command names
	}{
		{"producer", []string{"sessions"}, "$JS.API."},
		{"producer", []string{"show", session}, "$JS.API."},
		{"producer", []string{"logs", session}, "$JS.API."},
		{"producer", []string{"dead", "ls"}, "$JS.API."},
		{"producer", []string{"stop", session}, "$JS.API."},
		{"producer", []string{"cancel", session}, "$JS.API."},
		{"producer", []string{"extend", session, "1h"}, "$JS.API."},
		{"producer", []string{"halt"}, "$JS.API."},
		{"producer", []string{"setup"}, "$JS.API."},
		{"viewer", []string{"publish", session, "true"}, "curfew.jobs." + session},
		{"viewer", []string{"cancel", other}, "$KV.CURFEW_SESSIONS." + other},
		{"viewer", []string{"extend", session, "1h"}, "$KV.CURFEW_SESSIONS." + session},
		{"viewer", []string{"halt"}, "$KV.CURFEW_SESSIONS.fleet.halt"},
		{"viewer", []string{"dead", "retry", letter, "--session", "new"}, "curfew.jobs."},
		{"viewer", []string{"dead", "drop", letter}, "$JS.API.STREAM.MSG.DELETE.CURFEW_DEAD"},
		{"viewer", []string{"setup"}, "$JS.API.CONSUMER.INFO.CURFEW_JOBS.workers"},
		{"worker", []string{"publish", session, "true"}, "curfew.jobs." + session},
		{"worker", []string{"logs", session}, "$JS.API.STREAM.MSG.GET.CURFEW_OUTPUT"},
	} {
		began := time.Now()
		a := o.as(c.role, c.args...)
		require.Equal(o.t, 1, a.code, "%s: curfew %v\n%s%s", c.role, c.args, a.stdout, a.stderr)
		require.Contains(o.t, a.stderr, "may not publish on", "%s: curfew %v", c.role, c.args)
		require.Contains(o.t, a.stderr, `"`+c.missing, "%s: curfew %v", c.role, c.args)
		o.t.Logf("%s: curfew %v: refused after %s", c.role, c.args[:1], time.Since(began).Round(time.Millisecond))
	}
}
