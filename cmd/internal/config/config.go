package config

import (
	"time"

	"curfew/registry"
	"curfew/worker/process"
)

// Config is the whole configuration, with defaults filled in. The yaml tags are the names of the keys; they are also
// what the names of environment variables are made of.
type Config struct {
	Namespace string           `yaml:"namespace"`
	NATS      NATS             `yaml:"nats"`
	Redis     Redis            `yaml:"redis"`
	HTTP      HTTP             `yaml:"http"`
	Log       Log              `yaml:"log"`
	Worker    Worker           `yaml:"worker"`
	Session   Session          `yaml:"session"`
	Lease     Lease            `yaml:"lease"`
	Retry     Retry            `yaml:"retry"`
	Queue     Queue            `yaml:"queue"`
	Agents    map[string]Agent `yaml:"agents"`
}

// NATS says where the streams are and who we are there.
type NATS struct {
	URL          string `yaml:"url"`
	Creds        string `yaml:"creds"`
	NKey         string `yaml:"nkey"`
	User         string `yaml:"user"`
	Password     string `yaml:"password"`
	PasswordFile string `yaml:"password_file"`
	TLS          TLS    `yaml:"tls"`
	Domain       string `yaml:"domain"`
	InboxPrefix  string `yaml:"inbox_prefix"`
	Replicas     int    `yaml:"replicas"`
	Declare      string `yaml:"declare"`
}

// TLS names files in PEM form.
type TLS struct {
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Redis says where the leases are.
type Redis struct {
	URL          string `yaml:"url"`
	Password     string `yaml:"password"`
	PasswordFile string `yaml:"password_file"`
}

// HTTP is the worker's own small server; an empty Listen switches it off.
type HTTP struct {
	Listen    string   `yaml:"listen"`
	Token     string   `yaml:"token"`
	TokenFile string   `yaml:"token_file"`
	Hosts     []string `yaml:"hosts"`
}

// Log is how much is logged, and in which form.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Worker is about the process that runs subprocesses.
type Worker struct {
	ID           string        `yaml:"id"`
	Concurrency  int           `yaml:"concurrency"`
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	OnDrain      string        `yaml:"on_drain"`
	Data         string        `yaml:"data"`
	RunDir       string        `yaml:"run_dir"`
}

// Session is about every session, whichever worker runs it.
type Session struct {
	MaxAge     time.Duration `yaml:"max_age"`
	Backlog    int64         `yaml:"backlog"`
	SweepEvery time.Duration `yaml:"sweep_every"`
}

// Lease holds the times of the lock on a session. TTL and Margin are agreed by the whole namespace.
type Lease struct {
	TTL    time.Duration `yaml:"ttl"`
	Renew  time.Duration `yaml:"renew"`
	Margin time.Duration `yaml:"margin"`
}

// Retry is what happens to a job whose run crashed.
type Retry struct {
	Attempts   int           `yaml:"attempts"`
	Backoff    time.Duration `yaml:"backoff"`
	MaxBackoff time.Duration `yaml:"max_backoff"`
}

// Queue is how patient deliveries are.
type Queue struct {
	BusyDelay        time.Duration `yaml:"busy_delay"`
	AckWait          time.Duration `yaml:"ack_wait"`
	UnknownAgentWait time.Duration `yaml:"unknown_agent_wait"`
}

// Agent is one entry of agents: how a command is run for a job.
type Agent struct {
	Command            []string      `yaml:"command"`
	First              []string      `yaml:"first"`
	Resume             []string      `yaml:"resume"`
	Events             string        `yaml:"events"`
	Env                Env           `yaml:"env"`
	Workdir            string        `yaml:"workdir"`
	StopSignal         string        `yaml:"stop_signal"`
	Grace              time.Duration `yaml:"grace"`
	Timeout            time.Duration `yaml:"timeout"`
	FirstOutputTimeout time.Duration `yaml:"first_output_timeout"`
	IdleTimeout        time.Duration `yaml:"idle_timeout"`
	MaxAge             time.Duration `yaml:"max_age"`
	BudgetUSD          float64       `yaml:"budget_usd"`
	Exits              []Exit        `yaml:"exits"`
	Limits             Limits        `yaml:"limits"`
	User               string        `yaml:"user"`
	Group              string        `yaml:"group"`
	NoNewPrivs         bool          `yaml:"no_new_privs"`
}

// Limits is what a run may do to its host. Sizes are texts as 512MiB; "" is no limit.
type Limits struct {
	NoFile      int64  `yaml:"nofile"`
	Core        string `yaml:"core"`
	Nice        int    `yaml:"nice"`
	OOMScoreAdj int    `yaml:"oom_score_adj"`
	MemoryMax   string `yaml:"memory_max"`
	PidsMax     int64  `yaml:"pids_max"`
}

// Env is all that a subprocess sees of the worker's environment, and what is set for it.
type Env struct {
	Pass []string          `yaml:"pass"`
	Set  map[string]string `yaml:"set"`
}

// Exit says what an exit code of this agent means.
type Exit struct {
	Code   int    `yaml:"code"`
	Action string `yaml:"action"`
}

// Default is the configuration of a worker on a developer's machine, with no agent.
func Default() Config {
	return Config{
		Namespace: "curfew",
		NATS:      NATS{URL: "nats://127.0.0.1:4222", Replicas: 1, Declare: "auto"},
		Redis:     Redis{URL: "redis://127.0.0.1:6379/0"},
		HTTP:      HTTP{Listen: "127.0.0.1:8411"},
		Log:       Log{Level: "info", Format: "auto"},
		Worker:    Worker{Concurrency: 4, DrainTimeout: 30 * time.Second, OnDrain: "requeue"},
		Session:   Session{MaxAge: 4 * time.Hour, Backlog: 1000, SweepEvery: 30 * time.Second},
		Lease:     Lease{TTL: 15 * time.Second, Renew: 5 * time.Second, Margin: 2 * time.Second},
		Retry:     Retry{Attempts: 5, Backoff: time.Second, MaxBackoff: 5 * time.Minute},
		Queue:     Queue{BusyDelay: 30 * time.Second, AckWait: 30 * time.Second, UnknownAgentWait: 10 * time.Minute},
	}
}

// defaultAgent is what an entry of agents starts from.
func defaultAgent() Agent {
	return Agent{
		Events: "plain", StopSignal: "TERM", Grace: 10 * time.Second,
		Limits: Limits{Core: "0", OOMScoreAdj: process.DefaultOOMScore},
	}
}

// Terms are the times of a lease, as the registry takes them.
func (c *Config) Terms() registry.Terms {
	return registry.Terms{TTL: c.Lease.TTL, Renew: c.Lease.Renew, Margin: c.Lease.Margin}
}
