package integration

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// workerMemory is the most that a worker may ever have had, in KiB, whatever its agents print.
const workerMemory = 256 << 10

// shipped is a worker as it is shipped: what is measured is not the race detector's.
func (w *world) shipped(name string) *worker {
	w.t.Helper()
	bin, err := lab.curfewPlain()
	require.NoError(w.t, err)
	x := w.launchBinary(bin, name)
	w.untilReady(x)
	return x
}

// TestFloods: whatever an agent prints, and however little it reads, it ends by itself and the worker stays small.
func TestFloods(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	for _, c := range []struct {
		name        string
		directive   string
		body        int // bytes of the job's input; 0: the directive
		short, full int // megabytes that it prints
	}{
		{name: "a line without end", directive: "print %d", short: 30, full: 300},
		{name: "many lines", directive: "print-lines %d", short: 100, full: 2000},
		{name: "never reads", directive: "print-lines %d", body: 7 * mega},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			share(t)
			directive := fmt.Sprintf(c.directive, sized(c.short, c.full)*mega)
			w := newWorld(t, sharedStack(t), patientLease, func(conf *config) {
				conf.Log.Level = "info"
				deaf := witnessAgent(conf.dir(), directive)
				deaf.Env.Set[witnessDeaf] = "yes"
				conf.Agents["deaf"] = deaf
			})
			x := w.shipped("w1")
			inner := x.inner()
			before := memoryOf(inner, "VmHWM")
			begin := time.Now()
			var j *job
			if c.body > 0 {
				j = w.publish(newSession(), "", forAgent("deaf"), rawBody(bytes.Repeat([]byte("x"), c.body)))
			} else {
				j = w.publish(newSession(), script(directive))
			}
			w.untilFinalWithin(10*time.Minute, j)
			peak := memoryOf(inner, "VmHWM")
			t.Logf("%s, %d MB printed, %d bytes of input: %s; the worker's memory at most %d MiB (%d at its start)",
				c.name, sized(c.short, c.full), c.body, time.Since(begin).Round(10*time.Millisecond), peak>>10, before>>10)
			require.Positive(t, peak)
			require.Less(t, peak, workerMemory, "KiB")
			w.finish()
		})
	}
}

// TestSwarms: an agent that leaves hundreds of children behind, in its group and out of it, takes them along.
func TestSwarms(t *testing.T) {
	t.Parallel()
	for _, cgroup := range []bool{true, false} {
		t.Run(fmt.Sprint("cgroup=", cgroup), func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, sharedStack(t), patientLease)
			x := w.worker("w1", cgroups(cgroup))
			needCgroup(t, x, cgroup)
			list, count := w.dir+"/children", sized(200, 2000)
			j := w.publish(newSession(), script(fmt.Sprintf("fork %d %s", count, list)))
			w.untilFinalWithin(10*time.Minute, j)
			children := pidsIn(t, list)
			require.Len(t, children, count)
			require.False(t, slices.ContainsFunc(children, lives), "the job is over and children of its run live")
			t.Logf("%d children gone %s after the end of their agent", count, time.Since(w.runsOf(j)[0].Finish).Round(time.Millisecond))
			w.finish()
		})
	}
}

// pidsIn reads a list of process numbers; it is empty while there is none.
func pidsIn(t *testing.T, file string) (pids []int) {
	t.Helper()
	data, _ := os.ReadFile(file)
	for word := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(word)
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	return pids
}
