package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// plant is a guard that can be taken out, with a scenario that needs it.
type plant struct {
	bug     string // CURFEW_TEST_BUG
	promise string // the rule that complains without it
	conf    func(c *config, without bool)
	// provoke brings about what the guard is for and answers what shows that it was missing.
	provoke func(w *world) (shown func() bool)
}

// stack is the shared one, except where the scenario makes Redis forget.
func (p plant) stack(t *testing.T) *stack {
	t.Helper()
	if p.bug == "unclean" {
		return ownStack(t, anyRedis)
	}
	return sharedStack(t)
}

// plants are the guards whose loss these tests must notice.
var plants = []plant{
	{"knock", "one final event per job", stubbornDelay, provokeKnock},
	{"unclean", "no two subprocesses of a session at once", longLease, func(w *world) func() bool {
		return provokeTakeover(w, func(string) { require.NoError(w.t, w.stack.redis.flush(w.ctx())) })
	}},
	{"until", "no two subprocesses of a session at once", longLease, func(w *world) func() bool {
		return provokeTakeover(w, func(session string) { w.dropKeys(session, "lock") })
	}},
	{"cas", "one successful run per job that succeeds", nil, provokeStaleOpen},
	{"effects", "one final event per job", nil, func(w *world) func() bool {
		killedBefore(w, "close")
		return func() bool { return w.rest().clean() }
	}},
	{"done", "one successful run per job that succeeds", nil, func(w *world) func() bool {
		killedBefore(w, "event")
		return func() bool { return len(oneSuccess(w.history())) > 0 }
	}},
	{"trust", "no two subprocesses of a session at once", eagerLease, provokeTrust},
	{"exit", "no two subprocesses of a session at once", longGrace, provokeReplace},
}

// TestPlantedBugs takes one guard out at a time. The judge must say which promise broke; with all guards in place the very
// same scenario must be without fault.
func TestPlantedBugs(t *testing.T) {
	t.Parallel()
	for _, p := range plants {
		for _, without := range []bool{true, false} {
			name := "with " + p.bug
			if without {
				name = "without " + p.bug
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				share(t)
				w := newWorld(t, p.stack(t), func(c *config) {
					if p.conf != nil {
						p.conf(c, without)
					}
				})
				if !without {
					p.provoke(w)
					w.finish()
					return
				}
				w.bug = p.bug
				shown := p.provoke(w)
				w.until(patience, shown, "the missing guard shows")
				broken := strings.Join(judge(w.history()), "\n")
				require.Contains(t, broken, p.promise+": ")
				t.Logf("without %q: %s", p.bug, firstOf(broken, p.promise))
			})
		}
	}
}

// firstOf is the first complaint of a rule.
func firstOf(broken, rule string) string {
	for line := range strings.Lines(broken) {
		if strings.HasPrefix(line, rule+": ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func stubbornDelay(c *config, _ bool) { c.Queue.BusyDelay = "10m" }

// longLease gives the missing guard time to show, and does not make the other case wait as long.
func longLease(c *config, without bool) {
	if without {
		patientLease(c)
	}
}

func longGrace(c *config, without bool) {
	if without {
		a := c.Agents["default"]
		a.Grace = "10s"
		c.Agents["default"] = a
	}
}

// eagerLease makes a refused worker ask again at once.
func eagerLease(c *config, _ bool) { c.Queue.BusyDelay = "50ms" }

func oneSlot() workerOptions { return workerOptions{args: []string{"--concurrency", "1"}} }

// overlapped says that two witnesses of a session were alive at once.
func (w *world) overlapped() bool { return len(noOverlap(history{Entries: w.entries()})) > 0 }

// dropKeys deletes what Redis has of a session, as an eviction would.
func (w *world) dropKeys(session string, kinds ...string) {
	w.t.Helper()
	c := w.stack.redis.client()
	defer c.Close()
	for _, kind := range kinds {
		require.NoError(w.t, c.Del(w.ctx(), fmt.Sprintf("%s:{%s}:%s", w.ns, session, kind)).Err())
	}
}

// provokeKnock lets a job arrive between the holder's last look and its release, and be refused by another worker, whose delay
// is long: only the knock tells of it.
func provokeKnock(w *world) func() bool {
	gate := w.gate("leave")
	w.worker("w1", oneSlot(), workerOptions{env: []string{"CURFEW_TEST_PAUSE_AT=leave:" + gate}})
	session := newSession()
	w.publish(session, "first")
	w.until(patience, func() bool { _, err := os.Stat(gate + ".reached"); return err == nil }, "the holder is about to leave")
	w.worker("w2", oneSlot())
	late := w.publish(session, "in between")
	c := w.stack.redis.client()
	w.t.Cleanup(func() { _ = c.Close() })
	key := fmt.Sprintf("%s:{%s}:", w.ns, session)
	w.until(patience, func() bool {
		n, err := c.HGet(w.ctx(), key+"lease", "knock").Int()
		return err == nil && n > 0
	}, "the other worker is refused")
	w.open(gate)
	if w.bug == "" {
		w.untilFinal(late)
		return nil
	}
	w.until(patience, func() bool { return c.Exists(w.ctx(), key+"lock").Val() == 0 }, "the holder has left")
	left := time.Now()
	return func() bool { return time.Since(left) > 3*time.Second }
}

// provokeTakeover cuts a holder off from Redis while its subprocess is alive, takes the lease out of Redis, and lets another
// worker hear of the session.
func provokeTakeover(w *world, lose func(session string)) func() bool {
	holder := w.linked("w1", oneSlot())
	session := newSession()
	live := w.publish(session, script("ignore-term", "@1 sleep 10m"), repeatable())
	w.untilStart(live, 1)
	w.worker("w2", oneSlot())
	holder.redis.cut()
	w.t.Cleanup(holder.redis.mend)
	lose(session)
	w.publish(session, "news")
	if w.bug == "" {
		w.untilStart(live, 2)
		holder.redis.mend()
	}
	return w.overlapped
}

// provokeStaleOpen keeps the write that opens a run on its way until another worker has the session, runs the job, and then
// lets it arrive.
func provokeStaleOpen(w *world) func() bool {
	slow := w.linked("w1", oneSlot())
	session := newSession()
	late := slow.nats.keepBack([]byte("PUB $KV." + w.stream("SESSIONS") + "." + session))
	gate := w.gate("end")
	j := w.publish(session, script("await "+gate))
	w.until(patience, late.tripped, "the run is being opened")
	slow.redis.cut()
	w.worker("w2", oneSlot())
	w.untilStart(j, 1)
	owner := w.record(session).Run.Worker
	late.release()
	if w.bug != "" {
		w.until(patience, func() bool { r := w.record(session).Run; return r != nil && r.Worker != owner }, "the late write went through")
	} else {
		w.never(500*time.Millisecond, func() bool { r := w.record(session).Run; return r == nil || r.Worker != owner }, "the late write went through")
	}
	slow.redis.mend()
	w.open(gate)
	return func() bool { return len(oneSuccess(w.history())) > 0 }
}

// killedBefore lets a worker die at a step after its job was recorded as done.
func killedBefore(w *world, step string) {
	doomed := w.worker("w1", killAt(step))
	w.publish(newSession(), "job")
	_, ended := doomed.wait(patience)
	require.True(w.t, ended, "the worker came to the step %s", step)
	w.worker("w2")
}

// provokeTrust cuts holders off from Redis and lets another worker ask for their sessions all the time. The second in which
// both believe that they have them is short, so without the guard it is tried a few times.
func provokeTrust(w *world) func() bool {
	const sessions = 4 // as many as a worker has slots, so that all other jobs go to the other worker
	for round := range 5 {
		holder := w.linked(fmt.Sprint("holder", round))
		var live, news []*job
		for range sessions {
			live = append(live, w.publish(newSession(), script("ignore-term", "@1 sleep 10m"), repeatable(), wants("succeeded", "crashed")))
			w.untilStart(live[len(live)-1], 1)
		}
		other := w.worker(fmt.Sprint("other", round))
		holder.redis.cut()
		for _, j := range live {
			news = append(news, w.publish(j.Session, "news"))
		}
		w.untilFinal(news...)
		holder.redis.mend()
		if w.bug == "" || w.overlapped() {
			break
		}
		holder.end(patience)
		other.end(patience)
	}
	return w.overlapped
}

// provokeReplace lets a job replace one whose subprocess takes its time to die.
func provokeReplace(w *world) func() bool {
	w.worker("w1")
	session := newSession()
	stubborn := w.publish(session, script("ignore-term", "sleep 10m"), wants("replaced"))
	w.untilStart(stubborn, 1)
	w.publish(session, "newer", conflict("replace"))
	return w.overlapped
}
