package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"curfew/cmd/internal/config"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Check the configuration, or print an example",
		Example: "  curfew config example > curfew.yaml\n  curfew config check",
		Args:    noSuchCommand,
		RunE:    needsCommand,
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "example",
		Short:   "Print a commented configuration with every setting",
		Example: "  curfew config example > curfew.yaml",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprint(cmd.OutOrStdout(), config.Example())
			return nil
		},
	}, a.configCheckCommand())
	return cmd
}

func (a *app) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Read the configuration as a worker here would, and start nothing",
		Long: "Reads the file, the environment and the flags, tells everything that is wrong, and looks for the programs of the\n" +
			"agents on this machine. No server is asked.",
		Example: "  curfew config check --config curfew.yaml",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd, nil)
			if err != nil {
				return err
			}
			a.logger(c)
			agents := c.RunAgents()
			if err := resolve(agents); err != nil {
				return err
			}
			from := c.File
			if from == "" {
				from = "no file, only defaults and the environment"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the configuration is good (%s)\n", from)
			if len(agents) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "it names no agent: a worker needs one under agents")
			}
			for _, name := range slices.Sorted(maps.Keys(agents)) {
				fmt.Fprintf(cmd.OutOrStdout(), "agent %s: every program is there\n", name)
			}
			return nil
		},
	}
}
