package integration

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLogsFollow: `curfew logs -f` goes on with a session's output wherever it runs: handed over by a drain, and taken over
// from a worker that was killed.
func TestLogsFollow(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t), func(c *config) { c.Worker.DrainTimeout = "50ms" })
	first := w.worker("w1")
	release := w.gate("release")
	j := w.publish(newSession(), script(
		"@1 stderr said by the first", "@1 sleep 10m",
		"@2 stderr said by the second", "@2 sleep 10m",
		"@3 stderr said by the third", "@3 await "+release), repeatable())
	w.untilStart(j, 1)
	bin, err := lab.curfewTest()
	require.NoError(t, err)
	file := filepath.Join(w.dir, "cli.yaml")
	require.NoError(t, w.conf.write(file))
	logs, err := lab.start(command{name: "logs", path: bin, args: []string{"logs", "-f", j.Session, "--config", file}, env: baseEnv(), dir: w.dir})
	require.NoError(t, err)
	says := func(text string) {
		t.Helper()
		w.until(patience, func() bool { return strings.Contains(logs.output(), text) }, "logs -f prints %q", text)
	}
	says("said by the first")

	second := w.worker("w2")
	w.stop(first)
	says("said by the second")

	w.worker("w3")
	second.kill9()
	says("said by the third")

	w.open(release)
	w.untilFinal(j)
	runs := w.runsOf(j)
	require.Len(t, runs, 3)
	require.NotEqual(t, runs[0].Worker, runs[1].Worker)
	require.NotEqual(t, runs[1].Worker, runs[2].Worker)
	require.True(t, logs.alive(), "it follows until it is told to stop")
	logs.signal(syscall.SIGINT)
	code, ended := logs.wait(patience)
	require.True(t, ended)
	require.Zero(t, code, logs.output())
	w.finish()
}
