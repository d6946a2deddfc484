package integration

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHostileEnds: however a subprocess behaves, it ends, and as the table says.
func TestHostileEnds(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) { c.Worker.Concurrency = 8 })
	w.worker("w1")
	limit := header("Curfew-Timeout", "3s")
	deaf := w.publish(newSession(), script("ignore-term", "sleep 10m"), limit, wants("timed_out"))
	frozen := w.publish(newSession(), script("stop-self", "sleep 10m"), limit, wants("timed_out"))
	silent := w.publish(newSession(), script("close-output", "sleep 2s"))
	silentEnd := w.publish(newSession(), script("close-output", "sleep 1s", "signal TERM"), wants("terminated"))
	w.untilFinal(deaf, frozen, silent, silentEnd)
	for _, j := range []*job{deaf, frozen} {
		w.until(patience, func() bool { return len(w.lettersOf(j)) == 1 }, "the dead letter of %s", j.Name)
		require.False(t, lives(w.runsOf(j)[0].PID), "it is over and lives")
	}
	require.GreaterOrEqual(t, w.runsOf(silent)[0].Finish.Sub(w.runsOf(silent)[0].At), 2*time.Second, "it was let go on")
	w.finish()
}

// shellAgent makes a shell script the agent; $1 is the folder of the scenario.
func shellAgent(c *config, text string) {
	a := agentConfig{Command: []string{"/bin/sh", "-c", text, "sh", c.dir()}, Grace: grace.String()}
	a.Env.Set = map[string]string{"PATH": os.Getenv("PATH")}
	c.Agents = map[string]agentConfig{"default": a}
}

// succeeds publishes a job for a shell agent, which keeps no journal, and waits for its good end.
func (w *world) succeeds(session string) {
	w.t.Helper()
	ack, err := w.js.Publish(w.ctx(), w.jobSubject(session), []byte("x"))
	require.NoError(w.t, err)
	e := w.untilFinal(&job{Name: fmt.Sprint(ack.Sequence)})
	require.Equal(w.t, "succeeded", e.Outcome, "%s", e)
}

// tools leaves three behind and ends well: one in its group, one in a session of its own, one that holds stdout open with
// nothing left of its environment.
const tools = `sleep 300 >/dev/null 2>&1 & echo $! >>"$1/tools"
setsid sh -c 'echo $$ >>"$0/tools"; exec sleep 300' "$1" >/dev/null 2>&1 &
(env -i setsid /bin/sh -c 'echo $$ >>"$0/tools"; exec sleep 300' "$1" 2>&1 &)
while [ "$(wc -l <"$1/tools")" -lt 3 ]; do sleep 0.01; done
exit 0`

// TestToolsAreCollected: what an agent left running after a good end is gone when its job is over, and who holds its output
// open holds up nothing.
func TestToolsAreCollected(t *testing.T) {
	t.Parallel()
	for _, cgroup := range []bool{true, false} {
		t.Run(fmt.Sprint("cgroup=", cgroup), func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, sharedStack(t), patientLease, func(c *config) { shellAgent(c, tools) })
			x := w.worker("w1", cgroups(cgroup))
			needCgroup(t, x, cgroup)
			begin := time.Now()
			w.succeeds(newSession())
			left := pidsIn(t, w.dir+"/tools")
			require.Len(t, left, 3)
			require.False(t, slices.ContainsFunc(left, lives), "the job is over and its tools live")
			t.Logf("from publish to the end: %s", time.Since(begin).Round(time.Millisecond))
			require.Contains(t, x.output(), "processes outlived their agent and were killed")
			w.stopAll()
		})
	}
}

// chainEnd is where a chain ends by itself.
const chainEnd = 30_000

// chain replaces itself over and over, each time in a session of its own, with nothing of its environment. With a second
// argument it sheds the inherited limit too, by which a run is known: only a cgroup ends that one.
const chain = `#!/bin/sh
echo $$ >>"$1/chain"
[ "$(wc -l <"$1/chain")" -lt 30000 ] || exit 0
[ -z "$2" ] || prlimit --pid $$ --locks=4096:
env -i PATH="$PATH" setsid "$0" "$1" "$2" </dev/null >/dev/null 2>&1 &
sleep 0.01
`

// TestChains: what replaces itself faster than anybody can look is dead when its job is over.
func TestChains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		cgroup bool
		naked  string
	}{
		{"in a cgroup, without any mark", true, "naked"},
		{"known by its mark", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			share(t)
			if _, err := exec.LookPath("prlimit"); err != nil && c.naked != "" {
				t.Skip("prlimit is missing: util-linux has it")
			}
			var file string
			w := newWorld(t, sharedStack(t), patientLease, func(conf *config) {
				file = conf.dir() + "/chain.sh"
				shellAgent(conf, file+` "$1" `+c.naked+`; while [ "$(wc -l <"$1/chain")" -lt 5 ]; do sleep 0.01; done; exit 0`)
			})
			require.NoError(t, os.WriteFile(file, []byte(chain), 0o700))
			x := w.worker("w1", cgroups(c.cgroup))
			needCgroup(t, x, c.cgroup)
			w.succeeds(newSession())
			last := w.links()
			require.GreaterOrEqual(t, last, 5)
			require.Less(t, last, chainEnd, "it ended by itself")
			w.never(500*time.Millisecond, func() bool { return w.links() != last }, "the job is over and the chain goes on")
			t.Logf("ended after %d generations", last)
			w.stopAll()
		})
	}
}
