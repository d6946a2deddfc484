package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// didYouMean asks back with the commands, or flags, that a mistyped one resembles; "" for none.
func didYouMean(similar []string) string {
	if len(similar) == 0 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", strings.Join(similar, " or "))
}

// similarCommands are the commands below cmd that name resembles.
func similarCommands(cmd *cobra.Command, name string) []string {
	cmd.SuggestionsMinimumDistance = max(cmd.SuggestionsMinimumDistance, 2)
	return cmd.SuggestionsFor(name)
}

// wrongFlag is the error of a command line whose flags could not be read, with the flags that were perhaps meant.
func wrongFlag(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return &usageError{cmd: cmd, err: err}
	}
	flags := &cobra.Command{} // cobra compares commands, so the flags' names become some
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	var similar []string
	if name := unknown.GetSpecifiedName(); len(name) > 1 {
		for _, s := range similarCommands(flags, name) {
			similar = append(similar, "--"+s)
		}
	}
	return &usageError{cmd: cmd, err: fmt.Errorf("%w%s", err, didYouMean(similar))}
}
