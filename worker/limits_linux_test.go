package worker

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"curfew/queue"
	"curfew/worker/agent"
	"curfew/worker/process"
)

// shell is an agent that runs a script, and whose answer is what that prints.
func shell(script string) *agent.Agent {
	return &agent.Agent{Name: "default", Command: []string{"/bin/sh", "-c", script}, EnvPass: []string{"PATH"}}
}

// What is configured arrives at the process. Limits are set right after the
// start, so the script waits for the last of them.
func TestAnAgentsLimits(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(func(c *Config) {
		a := shell(`until [ "$(ulimit -n)" = 123 ] && [ "$(cat /proc/self/oom_score_adj)" = 900 ]; do sleep 0.02; done
echo nofile $(ulimit -n) core $(ulimit -c) nice $(nice) privs $(grep NoNewPrivs /proc/self/status)`)
		a.Limits = process.Limits{NoFile: 123, Nice: 1, OOMScoreAdj: 900, NoNewPrivs: true}
		c.Agents["default"] = a
	})
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	require.NoError(t, err)
	own := min(20-raw+1, 19)
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session})
	final := w.finals(t, session, 1)[seq]
	require.Equal(t, string(Succeeded), final.Outcome, final.Reason)
	require.Equal(t, "nofile 123 core 0 nice "+strconv.Itoa(own)+" privs NoNewPrivs: 1", final.Result.Text)
}

func TestAnAgentsUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can run an agent as somebody else")
	}
	data := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(data), 0o711))
	require.NoError(t, os.Chmod(data, 0o700))
	use := func(c *Config) {
		a := shell(`cd "$PWD" && touch file && echo $(id -u) $(id -g) $(id -G) $(stat -c %u:%g . file)`)
		a.User, a.Group = "54321", "54322"
		c.Agents["default"], c.Data = a, data
	}
	c := Config{Data: data, Agents: map[string]*agent.Agent{}}
	use(&c)
	require.NoError(t, c.Agents["default"].Resolve())
	err := c.reachable(c.Data)
	var bad *agent.UserError
	require.ErrorAs(t, err, &bad, "a folder of its own that nobody else may enter")
	require.ErrorContains(t, err, data)

	require.NoError(t, os.Chmod(data, 0o711))
	w := newBench(t).worker(use)
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session})
	final := w.finals(t, session, 1)[seq]
	require.Equal(t, string(Succeeded), final.Outcome, final.Reason)
	require.Equal(t, "54321 54322 54322 54321:54322 54321:54322", strings.TrimSpace(final.Result.Text))
	require.FileExists(t, filepath.Join(data, sessionsFolder, session, "file"))
}
