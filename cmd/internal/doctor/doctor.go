// Package doctor finds out why a worker would not work here, or not as it promises, and says how to mend it.
//
// It promises to name each fault of its table with a line on how to mend it, to answer within seconds whatever is away, and
// to change nothing. It does not promise that a fleet without findings is healthy: it looks from one place, at one moment.
//
// Each check is one entry of the table and looks at one thing. They run at once, over one connection to each server, and are
// told in the table's order. A check whose server is away says so and finds nothing.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
)

// Verdict is what a finding means for a worker.
type Verdict string

// The verdicts.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn" // it works, with less than it could have
	Fail Verdict = "fail" // it does not work, or not as promised
)

// Finding is what one check saw.
type Finding struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Seen    string  `json:"seen"`
	Mend    string  `json:"mend,omitempty"` // how; "" where nothing is to be mended
}

// Patient is the worker that would be started here.
type Patient struct {
	Queue    queue.Options
	Redis    registry.RedisOptions
	Records  registry.RecordOptions
	Terms    registry.Terms
	Agents   map[string]*agent.Agent
	Folders  map[string]string // configuration key -> folder that a worker writes to
	Cgroup   func() (path string, err error)
	Now      func() time.Time
	Patience time.Duration // of each check
}

// check is one entry of the table.
type check struct {
	name string
	look func(context.Context, *visit) (Finding, error)
}

// table is every check, in the order of telling.
func table() []check {
	return []check{
		{"nats", checkNATS},
		{"jetstream", checkJetStream},
		{"nats-permissions", checkPermissions},
		{"max_payload", checkMaxPayload},
		{"streams", checkStreams},
		{"nats-clock", checkNATSClock},
		{"fleet", checkFleet},
		{"redis", checkRedis},
		{"redis-eviction", checkEviction},
		{"redis-info", checkInfo},
		{"redis-lease", checkLease},
		{"redis-clock", checkRedisClock},
		{"agents", checkAgents},
		{"folders", checkFolders},
		{"cgroup", checkCgroup},
	}
}

// visit is one examination, with its connections: made once, by whichever check is first.
type visit struct {
	Patient

	nats  func() (*queue.Examination, error)
	redis func() (*registry.Examination, error)
}

// notCheckedError says that a check could not look, for a reason that another check tells.
type notCheckedError struct{ why string }

func (e *notCheckedError) Error() string { return "not checked: " + e.why }

// Examine answers one finding for each entry of the table.
func Examine(ctx context.Context, p Patient) []Finding {
	ctx, cancel := context.WithTimeout(ctx, p.Patience)
	defer cancel()
	v := &visit{Patient: p}
	v.nats = sync.OnceValues(func() (*queue.Examination, error) { return queue.Examine(ctx, p.Queue) })
	v.redis = sync.OnceValues(func() (*registry.Examination, error) { return registry.ExamineRedis(ctx, p.Redis) })
	checks := table()
	found := make([]chan Finding, len(checks))
	for i, c := range checks {
		found[i] = make(chan Finding, 1)
		go func() { found[i] <- v.run(ctx, c) }()
	}
	// One that does not heed its time must not keep the others from being told.
	late, stop := context.WithTimeout(context.WithoutCancel(ctx), p.Patience+time.Second)
	defer stop()
	findings := make([]Finding, len(checks))
	heard := true
	for i, c := range checks {
		select {
		case findings[i] = <-found[i]:
		case <-late.Done():
			heard = false
			findings[i] = Finding{Name: c.name, Verdict: Fail, Seen: fmt.Sprintf("no answer within %s", p.Patience), Mend: "see the other findings, then look again"}
		}
	}
	if heard {
		v.close()
	}
	return findings
}

func (v *visit) run(ctx context.Context, c check) Finding {
	f, err := c.look(ctx, v)
	f.Name = c.name
	not, skipped := errors.AsType[*notCheckedError](err)
	switch {
	case skipped:
		f.Verdict, f.Seen = Warn, not.Error()
	case err != nil:
		f.Verdict, f.Seen = Fail, err.Error()
		if f.Mend == "" {
			f.Mend = "see the other findings, then look again"
		}
	case f.Verdict == "":
		f.Verdict = OK
	}
	return f
}

func (v *visit) close() {
	if x, err := v.nats(); err == nil {
		x.Close()
	}
	if x, err := v.redis(); err == nil {
		_ = x.Close()
	}
}

// natsOr is the connection, for checks that have nothing to say without one.
func (v *visit) natsOr() (*queue.Examination, error) {
	x, err := v.nats()
	if err != nil {
		return nil, &notCheckedError{"NATS cannot be reached"}
	}
	return x, nil
}

func (v *visit) redisOr() (*registry.Examination, error) {
	x, err := v.redis()
	if err != nil {
		return nil, &notCheckedError{"Redis cannot be reached"}
	}
	return x, nil
}

// Names are the checks, in the order of telling.
func Names() []string {
	names := make([]string, 0, len(table()))
	for _, c := range table() {
		names = append(names, c.name)
	}
	return names
}
