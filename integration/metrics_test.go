package integration

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMetrics: what a worker did is what its /metrics say, under the names that alerts use.
func TestMetrics(t *testing.T) {
	t.Parallel()
	share(t)
	port, err := freePort()
	require.NoError(t, err)
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) { c.HTTP.Listen = hostPort(port) })
	w.worker("w1")
	session := newSession()
	live := w.gate("live")
	w.untilFinal(
		w.publish(session, script("exit 0")),
		w.publish(session, script("@1 exit 1")),
		w.publish(session, "x", forAgent("a name that a producer made up"), wants("invalid")),
	)
	w.untilStart(w.publish(newSession(), script("await "+live)), 1)
	for _, line := range []string{
		`curfew_jobs_total{agent="default",outcome="succeeded"} 2`,
		`curfew_jobs_total{agent="other",outcome="invalid"} 1`,
		`curfew_runs_total{agent="default",outcome="crashed"} 1`,
		`curfew_runs_total{agent="default",outcome="succeeded"} 2`,
		`curfew_job_wait_seconds_count 3`,
		`curfew_run_seconds_count 3`,
		`curfew_live_sessions 1`,
		`curfew_slots{state="busy"} 1`,
		`curfew_slots{state="free"} 3`,
		`curfew_lease_lost_total 0`,
		`curfew_leftovers_killed_total 0`,
		`curfew_swept_sessions_total 0`,
		`curfew_purged_jobs_total 0`,
		`curfew_spend_usd_total{agent="default"} 0`,
		`curfew_redis_up 1`,
		`curfew_nats_up 1`,
	} {
		w.until(patience, func() bool { return strings.Contains(w.metrics(port), "\n"+line+"\n") }, "%s among the metrics", line)
	}
	w.open(live)
	w.finish()
}

// metrics is what a worker tells Prometheus.
func (w *world) metrics(port int) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx(), http.MethodGet, "http://"+hostPort(port)+"/metrics", nil)
	require.NoError(w.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return string(body)
}
