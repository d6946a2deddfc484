package agent

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// reserved begins the names that only the worker sets. Its own configuration
// comes in variables like that, secrets included, so they cannot be passed.
const reserved = "CURFEW_"

// stamp is RFC 3339 with milliseconds, as everywhere on the wire.
const stamp = "2006-01-02T15:04:05.000Z07:00"

// traceparentMax is generous: the W3C format has 55 characters.
const traceparentMax = 512

// Environ is the whole environment of a run, sorted, each name once. Lookup
// answers the worker's own variables (os.LookupEnv); one that is not set there
// is left out. What Curfew says itself wins over EnvSet, EnvSet over the run's
// own TMPDIR, that over EnvPass.
func (a *Agent) Environ(c Call, lookup func(string) (string, bool)) []string {
	vars := make(map[string]string, 8+len(a.EnvPass)+len(a.EnvSet))
	for _, name := range a.EnvPass {
		if value, ok := lookup(name); ok && !strings.HasPrefix(name, reserved) {
			vars[name] = value
		}
	}
	if c.TempDir != "" {
		vars["TMPDIR"] = c.TempDir
	}
	for name, value := range a.EnvSet {
		if !strings.HasPrefix(name, reserved) {
			vars[name] = value
		}
	}
	for name, value := range c.variables() {
		if value != "" {
			vars[name] = value
		}
	}
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// variables are what a run is told about itself; empty ones are left out.
func (c Call) variables() map[string]string {
	vars := map[string]string{
		"CURFEW_SESSION":    c.Session,
		"CURFEW_JOB":        c.Job,
		"CURFEW_ATTEMPT":    strconv.Itoa(c.Attempt),
		"CURFEW_FENCE":      strconv.FormatUint(c.Fence, 10),
		"CURFEW_DEADLINE":   stamped(c.Deadline),
		"CURFEW_CREATED_AT": stamped(c.CreatedAt),
		"CURFEW_WORKER":     c.Worker,
	}
	if printable(c.Traceparent) {
		vars["TRACEPARENT"] = c.Traceparent
	}
	return vars
}

func stamped(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stamp)
}

// printable keeps out of the environment what a producer could break a run
// with: the header comes from outside, and a NUL would fail every spawn.
func printable(s string) bool {
	if s == "" || len(s) > traceparentMax {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
