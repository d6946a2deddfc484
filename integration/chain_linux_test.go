package integration

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestChainOutlivesNobody: a chain without any mark, faster than a list of processes can be read, ends with its worker where
// the run has a cgroup, killed or standing still.
func TestChainOutlivesNobody(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"worker killed": syscall.SIGKILL, "worker frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			share(t)
			if _, err := exec.LookPath("prlimit"); err != nil {
				t.Skip("prlimit is missing: util-linux has it")
			}
			w := newWorld(t, sharedStack(t), func(c *config) {
				shellAgent(c, `"$1/chain.sh" "$1" naked; "$1/chain.sh" "$1" naked; exec sleep 300`)
			})
			require.NoError(t, os.WriteFile(w.dir+"/chain.sh", []byte(strings.ReplaceAll(chain, "sleep 0.01\n", "")), 0o700))
			x := w.worker("w1")
			needCgroup(t, x, true)
			_, err := w.js.Publish(w.ctx(), w.jobSubject(newSession()), []byte("x"))
			require.NoError(t, err)
			w.until(patience, func() bool { return w.links() > 10 }, "the chain goes on")
			inner := x.inner()
			require.NoError(t, syscall.Kill(inner, sig))
			hit, last, since := time.Now(), w.links(), time.Now()
			w.until(patience, func() bool {
				if n := w.links(); n != last {
					last, since = n, time.Now()
				}
				return time.Since(since) > time.Second
			}, "the chain has ended")
			require.Less(t, last, chainEnd, "it ended by itself")
			t.Logf("ended %s after the signal (lease %s), in its generation %d", since.Sub(hit).Round(time.Millisecond), leaseTTL, last)
			x.signal(killSignal)
			_ = syscall.Kill(inner, killSignal)
		})
	}
}

// links is how many generations of a chain there were.
func (w *world) links() int {
	data, _ := os.ReadFile(w.dir + "/chain")
	return strings.Count(string(data), "\n")
}
