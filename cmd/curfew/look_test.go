package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLookAtSessions(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	live, idle := newSession(), newSession()
	require.Equal(t, 0, p.run(t, "publish", idle, "lines 1", "--wait").code)
	p.publish(t, live, "lines 1; sleep 1m")
	p.publish(t, live, "later")
	p.runs(t, live)

	r := p.run(t, "sessions", "-o", "json")
	require.Equal(t, 0, r.code)
	var rows []map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.out), &rows))
	require.Len(t, rows, 1, "only live ones")
	for _, key := range []string{
		"session", "state", "worker", "pid", "agent", "created_at", "age_seconds", "max_age_seconds", "fence", "attempts",
		"waiting", "last_outcome", "spend_usd",
	} {
		require.Contains(t, rows[0], key)
	}
	require.Equal(t, live, rows[0]["session"])
	require.Equal(t, "running", rows[0]["state"])
	require.EqualValues(t, 1, rows[0]["waiting"], "the one that runs waits no more")
	require.EqualValues(t, 1, rows[0]["attempts"])
	require.EqualValues(t, 4*3600, rows[0]["max_age_seconds"])
	require.Positive(t, rows[0]["fence"])

	require.NoError(t, json.Unmarshal([]byte(p.run(t, "sessions", "--all", "-o", "json").out), &rows))
	require.Len(t, rows, 2)
	text := p.run(t, "sessions", "--all").out
	require.Contains(t, text, "SESSION")
	require.Contains(t, text, idle)

	row := p.row(t, live)
	require.Len(t, row["events"], 1)
	r = p.run(t, "show", live)
	require.Contains(t, r.out, "started")

	r = p.run(t, "logs", live)
	require.Equal(t, 0, r.code)
	require.Contains(t, r.out, "working: 1 of 1")

	require.Equal(t, 3, p.run(t, "show", newSession()).code)
	require.Equal(t, 3, p.run(t, "logs", newSession()).code)
	require.Equal(t, 3, p.run(t, "stop", idle).code)
	require.Equal(t, 3, p.run(t, "stop", newSession()).code)
	require.Equal(t, 3, p.run(t, "extend", newSession(), "1h").code)
}

func TestNoSessionsIsAnEmptyList(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, "{}\n")
	require.Equal(t, 0, p.run(t, "setup").code)
	require.Equal(t, "[]\n", p.run(t, "sessions", "-o", "json").out)
	require.Equal(t, "[]\n", p.run(t, "dead", "ls", "-o", "json").out)
}

func TestWatchAndFollowEndByCtrlC(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	session := newSession()
	watch := begin(t, "", p.environ, "sessions", "--watch", "--all")
	watch.says(t, "0 sessions")
	p.publish(t, session, "lines 2; sleep 1m")
	watch.says(t, session)
	follow := begin(t, "", p.environ, "logs", "-f", session)
	follow.says(t, "working: 2 of 2")
	for _, c := range []*command{watch, follow} {
		c.signals <- sigint
		require.Equal(t, 0, c.wait(t).code, "the ordinary end")
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	session := newSession()
	p.publish(t, session, "sleep 1m")
	p.publish(t, session, "sleep 1m")
	p.runs(t, session)

	require.Equal(t, 0, p.run(t, "extend", session, "2h").code)
	require.EqualValues(t, 6*3600, p.row(t, session)["max_age_seconds"])
	require.Equal(t, 1, p.run(t, "extend", session, "165h").code, "a session may not outlive its record")

	require.Equal(t, 0, p.run(t, "stop", session, "--reason", "enough").code)
	p.until(t, session, func(row map[string]any) bool { return row["last_outcome"] == "stopped" && row["state"] == "running" })

	require.Equal(t, 0, p.run(t, "cancel", session).code)
	row := p.until(t, session, func(row map[string]any) bool {
		return row["state"] == "cancelled" && row["last_outcome"] == "cancelled"
	})
	require.EqualValues(t, 0, row["waiting"])
	types := map[any]bool{}
	events, _ := row["events"].([]any)
	for _, e := range events {
		fields, _ := e.(map[string]any)
		types[fields["type"]] = true
	}
	require.True(t, types["extended"], "%v", types)
	require.Equal(t, 1, p.run(t, "extend", session, "1h").code)
	again := p.run(t, "cancel", session)
	require.Equal(t, 0, again.code, again.err)
	require.Contains(t, again.out, "was cancelled already")
	require.Equal(t, 3, p.run(t, "cancel", newSession()).code, "most likely mistyped")
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	cure := filepath.Join(p.dir, "cure")
	crashed, old := newSession(), newSession()
	require.Equal(t, 10, p.run(t, "publish", crashed, "needs "+cure, "--wait", "--id", "j").code)
	require.Equal(t, 12, p.run(t, "publish", old, "hello", "--wait", "--created-at", time.Now().Add(-5*time.Hour).Format(time.RFC3339)).code)

	var rows []map[string]any
	p.good(t, &rows, "dead", "ls")
	require.Len(t, rows, 2)
	for _, key := range []string{"id", "session", "job", "job_seq", "reason", "outcome", "attempts", "exit", "at"} {
		require.Contains(t, rows[0], key)
	}
	require.Equal(t, crashed+":j", rows[0]["job"])
	require.Equal(t, "3", rows[0]["exit"])
	p.good(t, &rows, "dead", "ls", "--reason", "expired")
	require.Len(t, rows, 1)
	oldID, _ := rows[0]["id"].(string)
	p.good(t, &rows, "dead", "ls", "--session", crashed)
	require.Len(t, rows, 1)
	crashedID, _ := rows[0]["id"].(string)

	show := p.run(t, "dead", "show", crashedID)
	require.Contains(t, show.out, "needs "+cure, "the input is there")
	require.Equal(t, 3, p.run(t, "dead", "show", "999").code)

	refused := p.run(t, "dead", "retry", oldID)
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.err, "--session new")
	dry := p.run(t, "dead", "retry", crashedID, "--dry-run")
	require.Equal(t, 0, dry.code)
	p.good(t, &rows, "dead", "ls")
	require.Len(t, rows, 2, "a dry run and a refusal change nothing")

	require.NoError(t, os.WriteFile(cure, nil, 0o600))
	var retries []retried
	p.good(t, &retries, "dead", "retry", crashedID)
	require.Equal(t, crashed, retries[0].Session)
	p.until(t, crashed, func(row map[string]any) bool { return row["last_outcome"] == "succeeded" })
	p.good(t, &retries, "dead", "retry", oldID, "--session", "new")
	require.NotEqual(t, old, retries[0].Session)
	p.until(t, retries[0].Session, func(row map[string]any) bool { return row["last_outcome"] == "succeeded" })
	p.good(t, &rows, "dead", "ls")
	require.Empty(t, rows, "replayed letters are gone")

	require.Equal(t, 10, p.run(t, "publish", "new", "exit 4", "--wait").code)
	require.Equal(t, 0, p.run(t, "dead", "drop", "--all", "--reason", "crashed").code)
	p.good(t, &rows, "dead", "ls")
	require.Empty(t, rows)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, "{session: {max_age: 300ms}}\n")
	require.Equal(t, 0, p.run(t, "setup").code)
	for range 3 {
		p.publish(t, "new", "x")
	}
	var report map[string]int
	require.Eventually(t, func() bool {
		p.good(t, &report, "sweep", "--dry-run")
		return report["expired"] == 3
	}, 60*time.Second, 50*time.Millisecond)
	p.good(t, &report, "sweep")
	require.Equal(t, map[string]int{"expired": 3, "purged_jobs": 3, "stopped": 0}, report)
	var letters []map[string]any
	p.good(t, &letters, "dead", "ls", "--reason", "expired")
	require.Len(t, letters, 3)
	r := p.run(t, "sweep")
	require.True(t, strings.HasPrefix(r.out, "0 sessions ended"), r.out)
}
