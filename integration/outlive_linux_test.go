package integration

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hostile is an agent whose tool gets away from it: a session of its own, no environment, orphaned at once.
const hostile = `echo $$ >> %[1]s.agents; env -i setsid /bin/sh -c 'sleep 300 & echo $! >> %[1]s.tools'; exec sleep 300`

// TestNothingOutlives: whoever of the two dies, the agents and what got away from them are gone.
func TestNothingOutlives(t *testing.T) {
	t.Parallel()
	const sessions = 20
	for _, c := range []struct {
		name   string
		kill   func(x *worker, inner int)
		code   int
		direct bool // only the agents themselves are gone at once
	}{
		{"worker", func(_ *worker, inner int) { _ = syscall.Kill(inner, syscall.SIGKILL) }, 137, false},
		{"supervisor", func(x *worker, _ int) { x.signal(killSignal) }, 137, false},
		{"both", func(x *worker, inner int) { x.signal(killSignal); _ = syscall.Kill(inner, syscall.SIGKILL) }, 137, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			share(t)
			var list string
			w := newWorld(t, sharedStack(t), func(conf *config) {
				list = conf.Worker.Data + "/pids"
				a := conf.Agents["default"]
				a.Command = []string{"/bin/sh", "-c", fmt.Sprintf(hostile, list)}
				conf.Agents = map[string]agentConfig{"default": a}
				conf.Worker.Concurrency = sessions
			})
			pids := func(kinds ...string) (all []int) {
				for _, kind := range kinds {
					data, _ := os.ReadFile(list + "." + kind) // not there before the first agent
					for word := range strings.FieldsSeq(string(data)) {
						n, err := strconv.Atoi(word)
						require.NoError(t, err)
						all = append(all, n)
					}
				}
				return all
			}
			x := w.worker("w1")
			for range sessions {
				_, err := w.js.Publish(w.ctx(), w.jobSubject(newSession()), []byte("x"))
				require.NoError(t, err)
			}
			w.until(patience, func() bool { return len(pids("agents")) == sessions && len(pids("tools")) == sessions }, "all agents and what gets away from them live")
			t.Cleanup(func() { // what the last case cannot have ended
				for _, pid := range pids("tools") {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			})
			gone := []string{"agents", "tools"}
			if c.direct {
				gone = gone[:1]
			}
			inner := x.inner()
			killed := time.Now()
			c.kill(x, inner)
			w.until(10*time.Second, func() bool { return !slices.ContainsFunc(pids(gone...), lives) }, "nothing is left")
			t.Logf("%d processes gone %s after this was killed: %s", len(pids(gone...)), time.Since(killed).Round(time.Millisecond), c.name)
			code, ended := x.wait(60 * time.Second)
			require.True(t, ended)
			require.Equal(t, c.code, code)
			w.until(5*time.Second, func() bool { return !lives(inner) }, "the worker is gone")
			if c.direct { // the rest is the next worker's to find, by the marks that the kernel keeps
				w.worker("w2")
				w.until(10*time.Second, func() bool { return !slices.ContainsFunc(pids("tools")[:sessions], lives) }, "the next worker swept")
			}
		})
	}
}
