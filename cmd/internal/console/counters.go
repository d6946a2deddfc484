package console

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"curfew/worker"
)

// Counters are what a worker counts itself: its Observer, as Prometheus has it.
//
// Every label has few values: outcomes are the worker's own, and an agent that the configuration does not name, as any job
// may, counts as "other".
type Counters struct {
	agents map[string]bool

	jobs, runs, spend                         *prometheus.CounterVec
	wait, run                                 prometheus.Histogram
	leases, leftovers, dropped, swept, purged prometheus.Counter
	roused, folders                           prometheus.Counter
	remain                                    prometheus.Gauge
}

// otherAgent is the label of agents that are not in the configuration.
const otherAgent = "other"

var _ worker.Observer = (*Counters)(nil)

// NewCounters counts for a worker that runs these agents. Every series is there from the start, so that a first event shows
// as an increase.
func NewCounters(agents []string) *Counters {
	c := &Counters{
		agents: map[string]bool{},
		jobs:   counters("jobs_total", "Jobs that are over, by how they ended. Each job counts once, where it ended.", "outcome", "agent"),
		runs:   counters("runs_total", "Subprocesses that ended, by how. A job may need several.", "outcome", "agent"),
		spend:  counters("spend_usd_total", "What runs cost in US dollars, by their agents' own word.", "agent"),
		wait:   histogram("job_wait_seconds", "From publishing a job to the start of its first subprocess.", waits()),
		run:    histogram("run_seconds", "How long subprocesses lived.", lives()),

		leases:    counter("lease_lost_total", "Sessions given up because another worker may have had them; their runs were killed."),
		leftovers: counter("leftovers_killed_total", "Processes that outlived their agent, or their worker, and were killed."),
		remain:    prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "leftovers_alive", Help: "Processes that outlived their agent and that nothing could kill so far."}),
		dropped:   counter("output_dropped_bytes_total", "Bytes of agents' output that the stream did not take in time."),
		swept:     counter("swept_sessions_total", "Sessions that this worker's sweeper ended because their curfew was over and nobody held them."),
		purged:    counter("purged_jobs_total", "Waiting jobs that became dead letters with their session."),
		roused:    counter("roused_jobs_total", "Jobs that the stream would have delivered to nobody any more, found and told of again by this worker's sweeper."),
		folders:   counter("work_folders_removed_total", "Work folders of sessions that are over, removed."),
	}
	for _, name := range agents {
		c.agents[name] = true
		c.spend.WithLabelValues(name)
		for _, o := range worker.Outcomes() {
			c.runs.WithLabelValues(string(o), name)
			if o.Final() {
				c.jobs.WithLabelValues(string(o), name)
			}
		}
	}
	return c
}

// Describe is prometheus.Collector's.
func (c *Counters) Describe(ch chan<- *prometheus.Desc) {
	for _, one := range c.all() {
		one.Describe(ch)
	}
}

// Collect is prometheus.Collector's.
func (c *Counters) Collect(ch chan<- prometheus.Metric) {
	for _, one := range c.all() {
		one.Collect(ch)
	}
}

func (c *Counters) all() []prometheus.Collector {
	return []prometheus.Collector{
		c.jobs, c.runs, c.spend, c.wait, c.run, c.leases, c.leftovers, c.remain, c.dropped, c.swept, c.purged, c.roused, c.folders,
	}
}

// JobEnded counts a job.
func (c *Counters) JobEnded(agent string, o worker.Outcome) {
	c.jobs.WithLabelValues(string(o), c.agent(agent)).Inc()
}

// JobStarted notes how long a job waited.
func (c *Counters) JobStarted(waited time.Duration) { c.wait.Observe(waited.Seconds()) }

// RunEnded counts a subprocess.
func (c *Counters) RunEnded(agent string, o worker.Outcome, took time.Duration) {
	c.runs.WithLabelValues(string(o), c.agent(agent)).Inc()
	c.run.Observe(took.Seconds())
}

// Spent adds US dollars; what is not above 0 is not believed.
func (c *Counters) Spent(agent string, usd float64) {
	if usd > 0 {
		c.spend.WithLabelValues(c.agent(agent)).Add(usd)
	}
}

// LeaseLost counts a lost lease.
func (c *Counters) LeaseLost() { c.leases.Inc() }

// Leftovers counts killed processes.
func (c *Counters) Leftovers(killed int) { c.leftovers.Add(float64(max(killed, 0))) }

// LeftoversRemain keeps the number of those that live on.
func (c *Counters) LeftoversRemain(change int) { c.remain.Add(float64(change)) }

// OutputDropped counts bytes.
func (c *Counters) OutputDropped(bytes int) { c.dropped.Add(float64(bytes)) }

// SessionSwept counts a session.
func (c *Counters) SessionSwept() { c.swept.Inc() }

// JobsPurged counts jobs.
func (c *Counters) JobsPurged(n uint64) { c.purged.Add(float64(n)) }

// JobsRoused counts jobs.
func (c *Counters) JobsRoused(n uint64) { c.roused.Add(float64(n)) }

// WorkFoldersRemoved counts folders.
func (c *Counters) WorkFoldersRemoved(n int) { c.folders.Add(float64(max(n, 0))) }

func (c *Counters) agent(name string) string {
	if c.agents[name] {
		return name
	}
	return otherAgent
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

// waits are from the 3 ms of an idle worker to the four hours after which a job is not run any more.
func waits() []float64 {
	return []float64{0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600}
}

// lives are from a trivial program to a session's whole wall clock.
func lives() []float64 {
	return []float64{0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600}
}
