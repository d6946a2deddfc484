package agent

import (
	"fmt"

	"curfew/worker/process"
)

// MissingError names a configured program that this host does not have.
type MissingError struct {
	Agent   string
	Program string
	Err     error
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("agent %s: program %q not found on this host: install it or correct agents.%s (%v)",
		e.Agent, e.Program, e.Agent, e.Err)
}

func (e *MissingError) Unwrap() error { return e.Err }

// Resolve looks the agent's programs up, in PATH where they have no slash, and
// keeps their absolute paths, so that a run neither depends on a working
// folder nor finds out late; and so with its user. The error is a *MissingError
// or a *UserError.
func (a *Agent) Resolve() error {
	programs := make(map[string]string, 2)
	for _, v := range a.vectors() {
		if len(v.argv) == 0 || programs[v.argv[0]] != "" {
			continue
		}
		path, err := process.LookPath(v.argv[0])
		if err != nil {
			return &MissingError{Agent: a.Name, Program: v.argv[0], Err: err}
		}
		programs[v.argv[0]] = path
	}
	a.programs = programs
	return a.resolveUser()
}

func (a *Agent) program(name string) string {
	if path, ok := a.programs[name]; ok {
		return path
	}
	return name
}

// vector is one of the agent's argument vectors with its configuration key.
type vector struct {
	key  string
	argv []string
}

func (a *Agent) vectors() []vector {
	return []vector{{"command", a.Command}, {"first", a.First}, {"resume", a.Resume}}
}
