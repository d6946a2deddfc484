package main

import (
	"github.com/spf13/cobra"

	"curfew/cmd/internal/config"
	"curfew/queue"
)

func (a *app) setupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Create the fleet's streams and bring them to the configuration",
		Long: "Creates what is missing and changes what differs, the lease times that the namespace agreed on included: stop all\n" +
			"workers before changing those.",
		Example: "  curfew setup\n  curfew setup --config curfew.yaml",
		Args:    args(0, 0),
	}
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := a.load(cmd, nil)
		if err != nil {
			return err
		}
		ctx, stop := a.brief(cmd.Context())
		defer stop()
		log := a.logger(c)
		q, err := connectQueue(ctx, &c.Config, "curfew setup", log)
		if err != nil {
			return err
		}
		defer q.Close()
		changes, err := q.Setup(ctx, agreed(&c.Config))
		if err != nil {
			return err
		}
		if _, err := openRecords(ctx, &c.Config, q, true, log); err != nil {
			return err
		}
		if *out == formatJSON {
			return printJSON(cmd.OutOrStdout(), map[string][]string{"changes": append([]string{}, changes...)})
		}
		for _, change := range changes {
			say(cmd, *out, "%s", change)
		}
		say(cmd, *out, "namespace %s is set up", c.Namespace)
		return nil
	}
	return cmd
}

// agreed are the lease times that all workers of a namespace share.
func agreed(c *config.Config) queue.Terms {
	return queue.Terms{TTL: c.Lease.TTL, Margin: c.Lease.Margin}
}
