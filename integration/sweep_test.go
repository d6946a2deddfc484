package integration

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sweeping is a namespace in which nobody works: `curfew sweep` alone touches it.
func sweeping(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, sharedStack(t), func(c *config) {
		short := witnessAgent(c.dir(), "")
		short.MaxAge = "1ms"
		c.Agents["short"] = short
	})
	w.must("setup")
	return w
}

// old gives the session a record of five hours ago.
func (w *world) old(session string) {
	w.t.Helper()
	bucket, err := w.js.KeyValue(w.ctx(), w.stream("SESSIONS"))
	require.NoError(w.t, err)
	text, err := json.Marshal(map[string]any{"created_at": time.Now().Add(-5 * time.Hour), "max_age_ms": (4 * time.Hour).Milliseconds()})
	require.NoError(w.t, err)
	_, err = bucket.Put(w.ctx(), session, text)
	require.NoError(w.t, err)
}

type swept struct {
	Expired    int `json:"expired"`
	PurgedJobs int `json:"purged_jobs"`
	Stopped    int `json:"stopped"`
}

// killedSweep runs `curfew sweep` and wants it to be killed at the step.
func (w *world) killedSweep(step string) {
	w.t.Helper()
	bin, err := lab.curfewTest()
	require.NoError(w.t, err)
	file := filepath.Join(w.dir, "killed.yaml")
	require.NoError(w.t, w.conf.write(file))
	var out bytes.Buffer
	cmd := exec.CommandContext(w.ctx(), bin, "sweep", "--config", file)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(baseEnv(), "CURFEW_TEST_KILL_AT="+step), &out, &out
	_ = cmd.Run()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(w.t, ok)
	require.True(w.t, status.Signaled() && status.Signal() == syscall.SIGKILL, "the sweep did not reach the step %s: %s\n%s", step, cmd.ProcessState, out.String())
}

// TestASweepIsKilledAnywhere: kill -9 of the sweeper at each of its steps. The next rounds come to the same end: a letter and
// a final event for each job, once, and one event for each session that counts them.
func TestASweepIsKilledAnywhere(t *testing.T) {
	t.Parallel()
	const jobs = 3
	for _, step := range []string{"", "tombstone", "deadletter", "deadletter:4", "event", "event:4", "remove", "announce", "leave", "release"} {
		t.Run("at "+step, func(t *testing.T) {
			t.Parallel()
			share(t)
			w := sweeping(t)
			known, unseen := newSession(), newSession()
			w.old(known)
			for range jobs {
				w.publish(known, "waits", neverRuns("expired"))
				w.publish(unseen, "waits", forAgent("short"), neverRuns("expired"))
			}
			young := w.publish(newSession(), "waits on", wants("succeeded"))
			if step != "" {
				w.killedSweep(step)
			}
			var total swept
			w.until(patience, func() bool { // the dead one's leases have to run out first
				var round swept
				w.mustJSON(&round, "sweep")
				total.Expired += round.Expired
				total.PurgedJobs += round.PurgedJobs
				return w.record(known).announced() && w.record(unseen).announced()
			}, "both sessions are ended")
			if step == "" {
				require.Equal(t, swept{Expired: 2, PurgedJobs: 2 * jobs}, total)
			}
			for _, session := range []string{known, unseen} {
				events := w.expiries(session)
				require.Len(t, events, 1)
				require.EqualValues(t, jobs, events[0].Purged, "%s", events[0])
			}
			require.Equal(t, 1, w.jobsLeft(), "the young one")
			var nothing swept
			w.mustJSON(&nothing, "sweep")
			require.Zero(t, nothing)
			w.worker("w1")
			w.untilFinal(young)
			w.finish()
		})
	}
}

// TestASweepLeavesLiveRunsToTheirHolder: it neither takes a live run's job away nor kills it; the holder ends it.
func TestASweepLeavesLiveRunsToTheirHolder(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.conf.Session.SweepEvery = "1h"
	w.worker("w1")
	session := newSession()
	live := w.publish(session, script("sleep 10m"), wants("expired"))
	waits := w.publish(session, "waits", neverRuns("expired"))
	w.untilStart(live, 1)
	w.backdate(session)
	var dry, round swept
	w.mustJSON(&dry, "sweep", "--dry-run")
	require.Equal(t, swept{Stopped: 1}, dry)
	require.Equal(t, 2, w.jobsLeft())
	w.mustJSON(&round, "sweep")
	require.Zero(t, round.Expired, "its holder ends it")
	w.untilFinal(live, waits)
	w.finish()
	require.Len(t, w.expiries(session), 1)
}

// backdate makes a session that is in use five hours old, as nobody does but time.
func (w *world) backdate(session string) {
	w.t.Helper()
	bucket, err := w.js.KeyValue(w.ctx(), w.stream("SESSIONS"))
	require.NoError(w.t, err)
	w.until(patience, func() bool {
		e, err := bucket.Get(w.ctx(), session)
		if err != nil {
			return false
		}
		var rec map[string]json.RawMessage
		if json.Unmarshal(e.Value(), &rec) != nil {
			return false
		}
		at, err := json.Marshal(time.Now().Add(-5 * time.Hour))
		if err != nil {
			return false
		}
		rec["created_at"] = at
		text, err := json.Marshal(rec)
		if err != nil {
			return false
		}
		_, err = bucket.Update(w.ctx(), session, text, e.Revision())
		return err == nil
	}, "the record of %s was made older", session)
}
