package integration

import (
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
)

// config is curfew.yaml as an operator writes it; the tests know its keys from the documentation, not from the code.
type config struct {
	Namespace string `yaml:"namespace"`
	NATS      struct {
		URL      string `yaml:"url"`
		Replicas int    `yaml:"replicas,omitempty"`
	} `yaml:"nats"`
	Redis struct {
		URL string `yaml:"url"`
	} `yaml:"redis"`
	HTTP struct {
		Listen string `yaml:"listen"`
	} `yaml:"http"`
	Log struct {
		Level  string `yaml:"level"`
		Format string `yaml:"format"`
	} `yaml:"log"`
	Worker struct {
		ID           string `yaml:"id,omitempty"`
		Concurrency  int    `yaml:"concurrency"`
		DrainTimeout string `yaml:"drain_timeout"`
		OnDrain      string `yaml:"on_drain"`
		Data         string `yaml:"data"`
		RunDir       string `yaml:"run_dir"`
	} `yaml:"worker"`
	Session struct {
		MaxAge     string `yaml:"max_age"`
		Backlog    int    `yaml:"backlog"`
		SweepEvery string `yaml:"sweep_every"`
	} `yaml:"session"`
	Lease struct {
		TTL    string `yaml:"ttl"`
		Renew  string `yaml:"renew"`
		Margin string `yaml:"margin"`
	} `yaml:"lease"`
	Retry struct {
		Attempts   int    `yaml:"attempts"`
		Backoff    string `yaml:"backoff"`
		MaxBackoff string `yaml:"max_backoff"`
	} `yaml:"retry"`
	Queue struct {
		BusyDelay        string `yaml:"busy_delay"`
		AckWait          string `yaml:"ack_wait"`
		UnknownAgentWait string `yaml:"unknown_agent_wait"`
	} `yaml:"queue"`
	Agents map[string]agentConfig `yaml:"agents"`
}

type agentConfig struct {
	Command []string `yaml:"command"`
	Env     struct {
		Set map[string]string `yaml:"set,omitempty"`
	} `yaml:"env"`
	Grace  string       `yaml:"grace"`
	MaxAge string       `yaml:"max_age,omitempty"`
	Exits  []exitConfig `yaml:"exits,omitempty"`
}

type exitConfig struct {
	Code   int    `yaml:"code"`
	Action string `yaml:"action"`
}

// The times of the scenarios: as short as a busy machine with two cores allows.
const (
	ackWait     = 2 * time.Second
	leaseTTL    = 3 * time.Second
	leaseMargin = 500 * time.Millisecond
	grace       = time.Second
	busyDelay   = 400 * time.Millisecond
)

// quickConfig has every time short, and the witness as the default agent.
func quickConfig(namespace, dir string, s *stack) config {
	var c config
	c.Namespace = namespace
	c.NATS.URL, c.Redis.URL = s.nats.url(), s.redis.url()
	c.Log.Level, c.Log.Format = "debug", "json"
	c.Worker.Concurrency, c.Worker.DrainTimeout, c.Worker.OnDrain = 4, "2s", "requeue"
	c.Worker.Data, c.Worker.RunDir = filepath.Join(dir, "data"), filepath.Join(dir, "run")
	c.Session.MaxAge, c.Session.Backlog, c.Session.SweepEvery = "4h", 1000, "1s"
	c.Lease.TTL, c.Lease.Renew, c.Lease.Margin = leaseTTL.String(), "1s", leaseMargin.String()
	c.Retry.Attempts, c.Retry.Backoff, c.Retry.MaxBackoff = 5, "100ms", "1s"
	c.Queue.BusyDelay, c.Queue.AckWait, c.Queue.UnknownAgentWait = busyDelay.String(), ackWait.String(), "10m"
	c.Agents = map[string]agentConfig{"default": witnessAgent(dir, "")}
	return c
}

// patientLease is for scenarios that saturate the machine, and for those in which a server is away and the runs go on.
func patientLease(c *config) {
	c.Lease.TTL, c.Lease.Renew, c.Lease.Margin = "15s", "5s", "2s"
}

// witnessAgent is this test binary as an agent that obeys the given directives first (";" separates them).
func witnessAgent(dir, directives string) agentConfig {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	a := agentConfig{Command: []string{self}, Grace: grace.String()}
	a.Env.Set = map[string]string{
		witnessEnv:    filepath.Join(dir, "journal"),
		witnessScript: directives,
		"GORACE":      "atexit_sleep_ms=0", // the race detector's second of rest at every exit
	}
	return a
}

func (c config) write(path string) error {
	text, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// dir is the folder of the namespace's files.
func (c *config) dir() string { return filepath.Dir(c.Worker.Data) }
