package agent

import (
	"strconv"
	"strings"
	"time"
)

// Call is one run of an agent: what its placeholders and its environment say.
type Call struct {
	Session     string
	Job         string
	Attempt     int
	Fence       uint64
	Workdir     string
	TempDir     string // TMPDIR; "" leaves it as it would be
	Worker      string
	Deadline    time.Time // the session's curfew; zero leaves CURFEW_DEADLINE out
	CreatedAt   time.Time // of the session; zero leaves CURFEW_CREATED_AT out
	Traceparent string    // "" leaves TRACEPARENT out
	Resume      bool      // a job of the session has succeeded before
}

// placeholders are the names that may stand in an argument.
func (c Call) placeholders() []string {
	return []string{
		"{session}", c.Session,
		"{job}", c.Job,
		"{attempt}", strconv.Itoa(c.Attempt),
		"{fence}", strconv.FormatUint(c.Fence, 10),
		"{workdir}", c.Workdir,
	}
}

// Argv is the argument vector of a run. Its first element is the program's
// absolute path once Resolve has been called.
func (a *Agent) Argv(c Call) []string {
	template := a.Command
	switch {
	case len(template) > 0:
	case c.Resume:
		template = a.Resume
	default:
		template = a.First
	}
	if len(template) == 0 {
		return nil // Validate refuses this
	}
	replace := strings.NewReplacer(c.placeholders()...)
	argv := make([]string, 0, len(template))
	argv = append(argv, a.program(template[0]))
	for _, arg := range template[1:] {
		argv = append(argv, replace.Replace(arg))
	}
	return argv
}
