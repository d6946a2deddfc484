package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"

	"github.com/stretchr/testify/require"
)

// answer is what a command left.
type answer struct {
	code   int
	stdout string
	stderr string
}

// curfew runs a command of the program against this namespace.
func (w *world) curfew(args ...string) answer {
	w.t.Helper()
	bin, err := lab.curfewTest()
	require.NoError(w.t, err)
	file := filepath.Join(w.dir, "cli.yaml")
	require.NoError(w.t, w.conf.write(file))
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(w.ctx(), bin, append(args, "--config", file)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = baseEnv(), &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(w.t, err)
	}
	return answer{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// must runs a command that has to work.
func (w *world) must(args ...string) answer {
	w.t.Helper()
	a := w.curfew(args...)
	require.Zero(w.t, a.code, "curfew %v\n%s%s", args, a.stdout, a.stderr)
	return a
}

func (w *world) mustJSON(into any, args ...string) {
	w.t.Helper()
	a := w.must(append(args, "-o", "json")...)
	require.NoError(w.t, json.Unmarshal([]byte(a.stdout), into), "curfew %v printed %q", args, a.stdout)
}
