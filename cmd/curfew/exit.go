package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"curfew/cmd/internal/config"
	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
)

// The exit codes that scripts may rely on.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // or configuration
	exitNotFound    = 3
	exitUnreachable = 4
	exitDead        = 10  // publish --wait: the job became a dead letter
	exitEnded       = 11  // publish --wait: it was terminated, stopped, cancelled or replaced
	exitExpired     = 12  // publish --wait: its session's curfew came
	exitDetached    = 130 // a signal ended the command, not the job
)

// usageError is a command line that cannot be meant. The usage of cmd is shown with it.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// endedError is the end of a job that a command waited for. It says nothing more: the command has told it.
type endedError struct{ code int }

func (e *endedError) Error() string { return fmt.Sprintf("the job ended (exit code %d)", e.code) }

var (
	// errNotFound means that what a command was asked about does not exist.
	errNotFound = errors.New("not found")
	// errTimeout is the end of a command that waited for an answer.
	errTimeout = errors.New("no answer within the time that a command waits")
)

// exitCode is the one place where an error becomes an exit code. The first rule that matches counts.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if ended := (*endedError)(nil); errors.As(err, &ended) {
		return ended.code
	}
	for _, rule := range []struct {
		code    int
		matches bool
	}{
		{exitUsage, is[*usageError](err)},
		{exitUsage, is[*config.Error](err)},
		{exitUsage, errors.Is(err, config.ErrNoFile)},
		{exitUsage, is[*agent.MissingError](err)},
		{exitUsage, is[*agent.UserError](err)},
		{exitUsage, is[*agent.LimitError](err)},
		{exitUsage, is[*queue.TermsError](err)},
		{exitUsage, is[*queue.DifferError](err)},
		{exitDetached, errors.Is(err, errInterrupted)},
		{exitUnreachable, is[*queue.UnreachableError](err)},
		{exitUnreachable, is[*registry.UnreachableError](err)},
		{exitUnreachable, is[*registry.UnavailableError](err)},
		{exitUnreachable, errors.Is(err, queue.ErrDisconnected)},
		{exitUnreachable, errors.Is(err, errTimeout)},
		{exitUnreachable, errors.Is(err, context.DeadlineExceeded)},
		{exitUsage, is[*queue.InvalidError](err)},
		{exitNotFound, errors.Is(err, errNotFound)},
		{exitNotFound, errors.Is(err, queue.ErrNoMessage)},
		{exitNotFound, errors.Is(err, registry.ErrNoSession)},
		{exitNotFound, errors.Is(err, registry.ErrNoRun)},
	} {
		if rule.matches {
			return rule.code
		}
	}
	return exitFailed
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
