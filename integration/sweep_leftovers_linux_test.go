package integration

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// escaper writes down itself and a tool that got away from it: $CURFEW_WORKER tells whose they are.
const escaper = `echo $$ >>"$1/$CURFEW_WORKER.agent"
env -i setsid /bin/sh -c 'echo $$ >>"$0"; exec sleep 300' "$1/$CURFEW_WORKER.tool" >/dev/null 2>&1 &
exec sleep 300`

// TestSweepAtStart: the next worker on a host ends what one left there that was killed together with its supervisor, and
// touches nothing of a neighbour that lives.
func TestSweepAtStart(t *testing.T) {
	t.Parallel()
	for _, cgroup := range []bool{true, false} {
		t.Run(fmt.Sprint("cgroup=", cgroup), func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, sharedStack(t), patientLease, func(c *config) {
				shellAgent(c, escaper)
				c.Worker.Concurrency = 2
				c.Worker.DrainTimeout = "10ms"
			})
			of := func(worker, kind string) []int { return pidsIn(t, w.dir+"/"+worker+"."+kind) }
			begin := func(id string) *worker {
				x := w.worker(id, cgroups(cgroup), workerOptions{args: []string{"--worker-id", id}})
				needCgroup(t, x, cgroup)
				for range 2 { // nobody else has a free slot
					_, err := w.js.Publish(w.ctx(), w.jobSubject(newSession()), []byte("x"))
					require.NoError(t, err)
				}
				w.until(patience, func() bool { return len(of(id, "agent")) == 2 && len(of(id, "tool")) == 2 }, "two runs of %s and what got away from them", id)
				t.Cleanup(func() {
					for _, pid := range append(of(id, "tool"), of(id, "agent")...) {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				})
				return x
			}
			neighbour, doomed := begin(w.ns+"-neighbour"), begin(w.ns+"-doomed")
			inner := doomed.inner()
			doomed.signal(syscall.SIGSTOP) // neither may clear up behind the other
			require.NoError(t, syscall.Kill(inner, syscall.SIGKILL))
			doomed.signal(killSignal)
			_, ended := doomed.wait(patience)
			require.True(t, ended)
			w.until(patience, func() bool { return !slices.ContainsFunc(of(w.ns+"-doomed", "agent"), lives) }, "the runs died with their worker")
			left := of(w.ns+"-doomed", "tool")
			require.True(t, slices.ContainsFunc(left, lives), "something is left to be swept")

			next := w.worker("next", cgroups(cgroup), workerOptions{args: []string{"--worker-id", w.ns + "-next"}})
			w.until(patience, func() bool { return !slices.ContainsFunc(left, lives) }, "the next worker ended what was left")
			require.Contains(t, next.output(), "swept what dead workers left on this host")
			for _, pid := range append(of(w.ns+"-neighbour", "agent"), of(w.ns+"-neighbour", "tool")...) {
				require.True(t, lives(pid), "something of a worker that lives was ended")
			}
			require.True(t, neighbour.alive())
		})
	}
}
