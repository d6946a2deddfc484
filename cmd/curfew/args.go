package main

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"curfew/queue"
)

// wrong makes an error a wrong usage of cmd.
func wrong(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd: cmd, err: fmt.Errorf(format, args...)}
}

// args checks the number of arguments, so that a wrong one shows the usage.
func args(atLeast, atMost int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		switch n := len(given); {
		case n < atLeast:
			return wrong(cmd, "an argument is missing")
		case atMost >= 0 && n > atMost:
			return wrong(cmd, "%q is one argument too many", given[atMost])
		}
		return nil
	}
}

// noSuchCommand is for commands that only hold others.
func noSuchCommand(cmd *cobra.Command, given []string) error {
	if len(given) > 0 {
		return wrong(cmd, "%q is not a command of `%s`%s", given[0], cmd.CommandPath(), didYouMean(similarCommands(cmd, given[0])))
	}
	return nil
}

// needsCommand is the run of a command that only holds others.
func needsCommand(cmd *cobra.Command, _ []string) error {
	return wrong(cmd, "say which command of `%s`", cmd.CommandPath())
}

var errSession = errors.New("a session is named by its UUID in the canonical lower-case form, as 5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11")

// sessionArg reads a session's name. It is refused rather than normalized: another spelling would be another session.
func sessionArg(cmd *cobra.Command, text string) (string, error) {
	if !queue.ValidSession(text) {
		return "", wrong(cmd, "%q: %w", text, errSession)
	}
	return text, nil
}

// newSession makes the name of a session that does not exist yet.
func newSession() string { return uuid.NewString() }
