package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompletion(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	session := newSession()
	require.Equal(t, 0, p.run(t, "publish", session, "hello", "--wait").code)
	require.Equal(t, 10, p.run(t, "publish", newSession(), "exit 4", "--wait").code)
	for line, want := range map[string]string{
		"publish new x --conflict ":        "queue\nreplace\nreject\n",
		"publish new x -o ":                "text\njson\n",
		"publish new x --agent ":           "default\n",
		"show " + session[:8]:              session + "\n",
		"stop " + session[:8]:              session + "\n",
		"dead ls --session " + session[:8]: session + "\n",
		"dead retry ":                      "1\n",
		"worker --log-level ":              "error\nwarn\ninfo\ndebug\ntrace\n",
		"dead ls --reason crash":           "crashed\n",
		"sessions ":                        "",
	} {
		r := p.run(t, append([]string{"__complete"}, strings.Split(line, " ")...)...)
		require.Equal(t, 0, r.code, r.err)
		values, _, _ := strings.Cut(r.out, ":")
		if line == "dead ls --reason crash" { // the shell compares fixed ones
			require.Contains(t, values, want)
			continue
		}
		require.Equal(t, want, values, "curfew %s", line)
	}
	gone := begin(t, "", []string{"CURFEW_NATS_URL=nats://127.0.0.1:1"}, "__complete", "show", "").wait(t)
	require.Equal(t, 0, gone.code, "a fleet that is away has nothing to offer")
}

// The scripts are at least what each shell takes for a program, where the shell is there.
func TestCompletionScriptsAreWellFormed(t *testing.T) {
	t.Parallel()
	for shell, check := range map[string]string{"bash": "-n", "zsh": "-n", "fish": "--no-execute"} {
		r := begin(t, "", nil, "completion", shell).wait(t)
		require.Equal(t, 0, r.code)
		require.Contains(t, r.out, "__complete")
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not here to look at its script", shell)
			continue
		}
		file := filepath.Join(t.TempDir(), "script")
		require.NoError(t, os.WriteFile(file, []byte(r.out), 0o600))
		out, err := exec.CommandContext(t.Context(), path, check, file).CombinedOutput()
		require.NoError(t, err, "%s: %s", shell, out)
	}
}
