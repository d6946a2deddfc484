package console_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"curfew/cmd/internal/console"
	"curfew/worker"
)

// What the worker tells arrives under the names that docs and alerts use.
func TestCounters(t *testing.T) {
	t.Parallel()
	c := console.NewCounters([]string{"default"})
	c.JobEnded("default", worker.Succeeded)
	c.JobEnded("made up by a producer", worker.Invalid)
	c.JobEnded("and another one", worker.Invalid)
	c.JobStarted(3 * time.Millisecond)
	c.RunEnded("default", worker.Crashed, 2*time.Second)
	c.Spent("default", 0.25)
	c.Spent("default", -1)
	c.LeaseLost()
	c.Leftovers(3)
	c.LeftoversRemain(2)
	c.LeftoversRemain(-1)
	c.OutputDropped(4096)
	c.SessionSwept()
	c.JobsPurged(7)
	c.JobsRoused(6)
	c.WorkFoldersRemoved(5)
	_, body := get(t, serve(t, console.Options{Listen: "127.0.0.1:0"}, c), "/metrics")
	for _, line := range []string{
		`curfew_jobs_total{agent="default",outcome="succeeded"} 1`,
		`curfew_jobs_total{agent="default",outcome="crashed"} 0`,
		`curfew_jobs_total{agent="other",outcome="invalid"} 2`,
		`curfew_runs_total{agent="default",outcome="crashed"} 1`,
		`curfew_job_wait_seconds_bucket{le="0.005"} 1`,
		`curfew_job_wait_seconds_sum 0.003`,
		`curfew_run_seconds_count 1`,
		`curfew_spend_usd_total{agent="default"} 0.25`,
		`curfew_lease_lost_total 1`,
		`curfew_leftovers_killed_total 3`,
		`curfew_leftovers_alive 1`,
		`curfew_output_dropped_bytes_total 4096`,
		`curfew_swept_sessions_total 1`,
		`curfew_purged_jobs_total 7`,
		`curfew_roused_jobs_total 6`,
		`curfew_work_folders_removed_total 5`,
		`curfew_slots{state="busy"} 1`,
		`curfew_slots{state="free"} 3`,
	} {
		require.Contains(t, body, line+"\n")
	}
	require.NotContains(t, body, "made up")
	require.NotContains(t, body, `outcome="lost",`, "no job ends so")
}

// However many names producers invent, a worker has as many series as its configuration has agents.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	c := console.NewCounters([]string{"a", "b"})
	for range 3 {
		for _, o := range worker.Outcomes() {
			for _, name := range []string{"a", "b", strings.Repeat("x", 10), "y"} {
				c.JobEnded(name, o)
				c.RunEnded(name, o, 0)
				c.Spent(name, 1)
			}
		}
	}
	n := len(worker.Outcomes())
	require.LessOrEqual(t, testutil.CollectAndCount(c), 2*3*n+3+20)
	problems, err := testutil.CollectAndLint(c)
	require.NoError(t, err)
	require.Empty(t, problems)
	require.NoError(t, prometheus.NewRegistry().Register(c))
}
