package config

import (
	"slices"
	"strings"

	"curfew/worker/agent"
	"curfew/worker/process"
)

// agent checks one entry of agents. What an agent may be is known by the package that runs it; here is only what
// concerns the whole configuration.
func (l *loader) agent(name string, a Agent) {
	key := "agents." + name
	l.between(key+".max_age", a.MaxAge, 0, MaxAge)
	l.between(key+".timeout", a.Timeout, 0, MaxAge)
	l.between(key+".grace", a.Grace, 0, MaxAge)
	if _, err := agent.ParseSignal(a.StopSignal); err != nil {
		l.wrong(key+".stop_signal", "%v", err)
	}
	for at, size := range a.Limits.sizes() {
		if _, err := agent.ParseSize(size); err != nil {
			l.wrong(key+".limits."+at, "%v", err)
		}
	}
	for _, err := range parts(runnable(name, a).Validate()) {
		at, text, ok := strings.Cut(err.Error(), ": ")
		if !ok || !strings.HasPrefix(at, "agents") {
			at, text = key, err.Error()
		}
		if l.told(at) {
			continue
		}
		l.wrong(at, "%s", text)
	}
}

// told is whether a problem of this very key is noted already.
func (l *loader) told(key string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Key == key && strings.HasPrefix(key, "agents.") })
}

// parts takes joined errors apart.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // it is the outermost that was joined
		return joined.Unwrap()
	}
	return []error{err}
}

// RunAgents turns the entries of agents into what a worker runs. c has been validated.
func (c *Config) RunAgents() map[string]*agent.Agent {
	all := make(map[string]*agent.Agent, len(c.Agents))
	for name, a := range c.Agents {
		all[name] = runnable(name, a)
	}
	return all
}

func runnable(name string, a Agent) *agent.Agent {
	signal, _ := agent.ParseSignal(a.StopSignal) // a bad one is told by its own key
	core, _ := agent.ParseSize(a.Limits.Core)
	memory, _ := agent.ParseSize(a.Limits.MemoryMax)
	rules := make([]agent.ExitRule, len(a.Exits))
	for i, e := range a.Exits {
		rules[i] = agent.ExitRule{Code: e.Code, Action: agent.Action(e.Action)}
	}
	return &agent.Agent{
		Name:               name,
		Command:            slices.Clone(a.Command),
		First:              slices.Clone(a.First),
		Resume:             slices.Clone(a.Resume),
		Events:             a.Events,
		EnvPass:            slices.Clone(a.Env.Pass),
		EnvSet:             a.Env.Set,
		Workdir:            a.Workdir,
		StopSignal:         signal,
		Grace:              a.Grace,
		Timeout:            a.Timeout,
		FirstOutputTimeout: a.FirstOutputTimeout,
		IdleTimeout:        a.IdleTimeout,
		MaxAge:             a.MaxAge,
		BudgetUSD:          a.BudgetUSD,
		Exits:              rules,
		User:               a.User,
		Group:              a.Group,
		Limits: process.Limits{
			MemoryMax:   memory,
			PidsMax:     a.Limits.PidsMax,
			NoFile:      a.Limits.NoFile,
			Core:        core,
			Nice:        a.Limits.Nice,
			OOMScoreAdj: a.Limits.OOMScoreAdj,
			NoNewPrivs:  a.NoNewPrivs,
		},
	}
}

// sizes are the limits that are given as a text, by key.
func (l Limits) sizes() map[string]string {
	return map[string]string{"core": l.Core, "memory_max": l.MemoryMax}
}
