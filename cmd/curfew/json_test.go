package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"curfew/cmd/internal/doctor"
)

// TestEveryJSON runs each command that has -o json and looks for the fields that programs rely on. A command without a
// line here fails the test.
func TestEveryJSON(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	live, waits, dead := newSession(), newSession(), newSession()
	p.publish(t, live, "sleep 5m")
	p.runs(t, live)
	require.Equal(t, 10, p.run(t, "publish", dead, "exit 4", "--wait", "--id", "one").code)
	require.Equal(t, 10, p.run(t, "publish", dead, "exit 4", "--wait", "--id", "two").code)
	var letters []struct{ ID string }
	p.good(t, &letters, "dead", "ls")
	require.Len(t, letters, 2)
	file := filepath.Join(p.dir, "jobs.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(fmt.Sprintf(`{"session":%q,"input":"hello"}`+"\n", newSession())), 0o600))

	const row = "session state worker pid agent created_at age_seconds max_age_seconds fence attempts waiting last_outcome spend_usd"
	const letter = "id session job job_seq reason outcome attempts exit at"
	const workers = "id host pid version started_at state reason live slots agents"
	const halt = "halted changed reason by at workers stopped live woken"
	done := map[string]bool{}
	for _, c := range []struct{ line, fields string }{
		{"publish " + waits + " hello", "session seq job duplicate"},
		{"publish --file " + file, "session seq job duplicate"},
		{"sessions", row},
		{"sessions --all", row},
		{"show " + live, row + " waiting_for events"},
		{"workers ls", workers},
		{"extend " + live + " 1h", row},
		{"stop " + live, row},
		{"cancel " + live, row},
		{"cancel " + live, row},
		{"dead ls", letter},
		{"dead ls --session " + dead, letter},
		{"dead ls --reason crashed --since 1h", letter},
		{"dead show " + letters[0].ID, letter + " input"},
		{"dead retry --dry-run " + letters[0].ID, "id session was dry_run"},
		{"dead retry " + letters[0].ID, "id session was job seq"},
		{"dead drop --dry-run --all", "dropped dry_run"},
		{"dead drop " + letters[1].ID, "dropped"},
		{"sweep --dry-run", "expired purged_jobs stopped"},
		{"sweep", "expired purged_jobs stopped"},
		{"setup", "changes"},
		{"halt --reason test", halt},
		{"halt", halt},
		{"unhalt", halt},
		{"doctor --accept " + strings.Join(doctor.Names(), ","), "ok checks"},
		{"version", "version"},
	} {
		words := strings.Fields(c.line)
		cmd, _, err := (&app{}).root().Find(words)
		require.NoError(t, err)
		done[cmd.CommandPath()] = true
		var got any
		p.good(t, &got, words...)
		rows, ok := got.([]any)
		if !ok {
			rows = []any{got}
		}
		require.NotEmpty(t, rows, c.line)
		for _, r := range rows {
			fields, ok := r.(map[string]any)
			require.True(t, ok, "%s: %v", c.line, r)
			for f := range strings.FieldsSeq(c.fields) {
				require.Contains(t, fields, f, "curfew %s", c.line)
			}
		}
	}
	visit((&app{}).root(), func(cmd *cobra.Command) {
		if cmd.Flags().Lookup("output") != nil {
			require.True(t, done[cmd.CommandPath()], "%s was not looked at", cmd.CommandPath())
		}
	})
}

// TestWatchedJSON: each list is a line.
func TestWatchedJSON(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	session := newSession()
	watch := begin(t, "", p.environ, "sessions", "--watch", "--all", "-o", "json")
	watch.says(t, "[]\n")
	p.publish(t, session, "hello")
	watch.says(t, session)
	watch.signals <- sigint
	r := watch.wait(t)
	require.Equal(t, 0, r.code)
	for line := range strings.Lines(r.out) {
		var rows []map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &rows), line)
	}
}
