package worker

import (
	"errors"
	"fmt"
	"time"

	"curfew/registry"
	"curfew/worker/agent"
	"curfew/worker/process"
	"curfew/worker/supervisor"
)

// Config is what a worker is told. The zero value of a duration is an error
// except where its comment says otherwise.
type Config struct {
	ID   string // unique in the fleet; in events, records and the subprocess' environment
	Host string // where it runs; shown by commands
	// Version of the program; shown by commands.
	Version string
	// Concurrency is how many subprocesses may be alive here at most.
	Concurrency int
	// DrainTimeout is how long a drain lets live runs go on; 0: not at all.
	DrainTimeout time.Duration
	OnDrain      OnDrain
	// Data holds the work folders, one per session.
	Data string
	// Temp is where each run gets a folder of its own for temporary files; "":
	// the system's folder for them.
	Temp string
	// RunDir holds the locks of this host.
	RunDir string
	// MaxAge is the wall clock of sessions whose agent names no other.
	MaxAge time.Duration
	// SweepEvery is the time between two rounds of the sweeper; 0: never.
	SweepEvery time.Duration
	// TidyEvery is the time between two looks for work folders of sessions that
	// ended a day ago; 0: never.
	TidyEvery time.Duration
	// Attempts is how many failures a job may have before it is buried.
	Attempts            int
	Backoff, MaxBackoff time.Duration
	// BusyDelay puts off a hint whose session another worker holds.
	BusyDelay time.Duration
	// AckWait is the queue's redelivery time; held hints are extended in time.
	AckWait time.Duration
	// UnknownAgentWait is how old a job of an agent that no worker knows may
	// become before it is buried.
	UnknownAgentWait time.Duration
	Agents           map[string]*agent.Agent
	Lease            registry.Terms
	// Cgroups gives each run a cgroup of its own; nil where this host has none.
	Cgroups *process.Cgroups
	// Supervisor ends the runs that this worker no longer can; nil where it has none.
	Supervisor *supervisor.Client
	// Observer is told what happens; nil: nobody is.
	Observer Observer

	// reader follows a run's output; nil: the agent's own. Tests give another one.
	reader func(*agent.Agent) agent.Reader
}

// Validate names every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	positive := []struct {
		name string
		d    time.Duration
	}{
		{"session.max_age", c.MaxAge},
		{"retry.backoff", c.Backoff},
		{"retry.max_backoff", c.MaxBackoff},
		{"queue.busy_delay", c.BusyDelay},
		{"queue.ack_wait", c.AckWait},
		{"queue.unknown_agent_wait", c.UnknownAgentWait},
	}
	for _, p := range positive {
		if p.d <= 0 {
			errs = append(errs, fmt.Errorf("%s must be above 0, it is %s", p.name, p.d))
		}
	}
	if c.ID == "" {
		errs = append(errs, errors.New("worker.id must not be empty"))
	}
	if c.Concurrency < 1 {
		errs = append(errs, fmt.Errorf("worker.concurrency must be at least 1, it is %d", c.Concurrency))
	}
	if c.Attempts < 1 {
		errs = append(errs, fmt.Errorf("retry.attempts must be at least 1, it is %d", c.Attempts))
	}
	if c.DrainTimeout < 0 || c.SweepEvery < 0 || c.TidyEvery < 0 {
		errs = append(errs, errors.New("worker.drain_timeout and session.sweep_every must not be negative"))
	}
	if _, ok := byDrain[c.OnDrain]; !ok {
		errs = append(errs, fmt.Errorf("worker.on_drain must be requeue, ack or dead, it is %q", c.OnDrain))
	}
	if c.Data == "" {
		errs = append(errs, errors.New("worker.data must name a folder"))
	}
	if err := c.Lease.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// maxAgeOf is the wall clock of a new session of the agent.
func (c Config) maxAgeOf(name string) time.Duration {
	if a, ok := c.Agents[name]; ok && a.MaxAge > 0 {
		return a.MaxAge
	}
	return c.MaxAge
}
