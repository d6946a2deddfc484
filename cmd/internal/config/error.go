package config

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNoFile means that a file was named and is not there.
var ErrNoFile = errors.New("no such configuration file")

// Error is everything that is wrong with a configuration, so that it can be put right in one go.
type Error struct {
	Problems []Problem
}

// Problem is one thing that is wrong.
type Problem struct {
	Where string // where the value came from: "curfew.yaml:12", "CURFEW_NATS_URL", "--concurrency", "" for a default
	Key   string // as written in the file: "nats.url"; "" when it is about the file itself
	Text  string // what is wrong and what is allowed; never a secret
}

// String is one line.
func (p Problem) String() string {
	var b strings.Builder
	for _, part := range []string{p.Where, p.Key} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	return b.String() + p.Text
}

// Error lists the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	if len(lines) == 1 {
		return "configuration: " + lines[0]
	}
	return fmt.Sprintf("configuration: %d problems\n  %s", len(lines), strings.Join(lines, "\n  "))
}
