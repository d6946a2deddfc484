package agent

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// termCode is how a program that traps SIGTERM commonly ends. What it means is
// the one thing a configuration may not change: a session that somebody
// terminated is not started again.
const termCode = 143

// namePattern is what an agent may be called; the name goes into headers,
// metrics and log lines.
const namePattern = `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`

// placeholderPattern is what looks like a placeholder; a misspelt one would go
// to the program as it stands.
const placeholderPattern = `\{[a-z_]+\}`

// Validate says everything that is wrong with the agent's configuration, each
// with its key, or nil.
func (a *Agent) Validate() error {
	var problems []error
	bad := func(key, format string, args ...any) {
		problems = append(problems, fmt.Errorf("agents.%s.%s: %w", a.Name, key, fmt.Errorf(format, args...)))
	}
	if !regexp.MustCompile(namePattern).MatchString(a.Name) {
		problems = append(problems, fmt.Errorf("agents: %q is no name for an agent: use letters, digits, '.', '_' and '-', 64 at most", a.Name))
	}
	a.checkVectors(bad)
	a.checkEnv(bad)
	a.checkExits(bad)
	a.checkLimits(bad)
	if _, ok := readerFor(a.Events); !ok {
		bad("events", "%q is not known: this version reads %s", a.Events, strings.Join(eventNames(), ", "))
	}
	if a.Workdir != "" && !filepath.IsAbs(a.Workdir) {
		bad("workdir", "%q is not absolute: give the whole path, or leave it out for a folder per session", a.Workdir)
	}
	if a.StopSignal != 0 && !isStopSignal(a.StopSignal) {
		bad("stop_signal", "%v does not ask a program to end: use TERM or INT", a.StopSignal)
	}
	for key, d := range map[string]time.Duration{
		"grace": a.Grace, "timeout": a.Timeout, "max_age": a.MaxAge,
		"first_output_timeout": a.FirstOutputTimeout, "idle_timeout": a.IdleTimeout,
	} {
		if d < 0 {
			bad(key, "%v is negative: use 0s for none", d)
		}
	}
	if a.BudgetUSD < 0 || math.IsNaN(a.BudgetUSD) || math.IsInf(a.BudgetUSD, 0) {
		bad("budget_usd", "%v is no amount: use 0 for none", a.BudgetUSD)
	}
	if a.BudgetUSD > 0 {
		bad("budget_usd", "is not enforced by this version: a limit that nobody watches is worse than none; leave it out")
	}
	slices.SortFunc(problems, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
	return errors.Join(problems...)
}

// report notes one problem under a configuration key.
type report func(key, format string, args ...any)

func (a *Agent) checkVectors(bad report) {
	switch {
	case len(a.Command) > 0 && (len(a.First) > 0 || len(a.Resume) > 0):
		bad("command", "stands beside first or resume: use command alone, or first and resume")
	case len(a.Command) == 0 && len(a.First) == 0 && len(a.Resume) == 0:
		bad("command", "is missing: give an argument vector, or first and resume")
	case len(a.Command) == 0 && len(a.First) == 0:
		bad("first", "is missing beside resume")
	case len(a.Command) == 0 && len(a.Resume) == 0:
		bad("resume", "is missing beside first")
	}
	for _, v := range a.vectors() {
		if len(v.argv) == 0 {
			continue
		}
		names := Call{}.placeholders()
		for i := 0; i < len(names); i += 2 {
			if strings.Contains(v.argv[0], names[i]) {
				bad(v.key, "the program %q has a placeholder: it must be the same for every session", v.argv[0])
			}
		}
		for _, arg := range v.argv {
			for _, word := range regexp.MustCompile(placeholderPattern).FindAllString(arg, -1) {
				if !slices.Contains(names, word) {
					bad(v.key, "%q has the placeholder %s, which is not known: use {session}, {job}, {attempt}, {fence} or {workdir}", arg, word)
				}
			}
		}
		if v.argv[0] == "" {
			bad(v.key, "the program has no name")
		}
		if slices.ContainsFunc(v.argv, hasNUL) {
			bad(v.key, "an argument has a NUL byte")
		}
	}
}

func (a *Agent) checkEnv(bad report) {
	for _, name := range a.EnvPass {
		checkName(name, "env.pass", bad)
	}
	for name, value := range a.EnvSet {
		checkName(name, "env.set", bad)
		if hasNUL(value) {
			bad("env.set", "the value of %q has a NUL byte", name)
		}
	}
}

func checkName(name, key string, bad report) {
	switch {
	case name == "" || strings.Contains(name, "=") || hasNUL(name):
		bad(key, "%q is no name of a variable", name)
	case strings.HasPrefix(name, reserved):
		bad(key, "%q: names that begin with %s are the worker's own; choose another", name, reserved)
	}
}

func (a *Agent) checkExits(bad report) {
	seen := make(map[int]bool, len(a.Exits))
	for _, r := range a.Exits {
		switch {
		case r.Code == termCode:
			bad("exits", "%d cannot be named: it always means that the session was terminated", termCode)
		case r.Code < 1 || r.Code > 255:
			bad("exits", "%d cannot be named: a failing program's code is 1 to 255", r.Code)
		case seen[r.Code]:
			bad("exits", "%d is named twice", r.Code)
		}
		seen[r.Code] = true
		if !slices.Contains([]Action{ActionSucceed, ActionDead, ActionRetry, ActionSuspend}, r.Action) {
			bad("exits", "%q is no action: use succeed, dead, retry or suspend", string(r.Action))
		}
	}
}

func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }
