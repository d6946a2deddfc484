package main

import (
	"context"
	"sync"

	"github.com/spf13/cobra"

	"curfew/worker"
)

func (a *app) sweepCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "End the sessions whose wall clock is over, as workers do every 30 seconds",
		Long: "Ends every session past its curfew: its waiting jobs become dead letters with reason `expired`, a live run is\n" +
			"stopped by the worker that holds it. A job that the NATS server has forgotten to deliver is told of again. It is safe\n" +
			"beside workers that sweep.",
		Example: "  curfew sweep --dry-run\n  curfew sweep -o json",
		Args:    args(0, 0),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count what would be ended")
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		report, err := a.sweep(cmd, dryRun)
		if err != nil {
			return err
		}
		if *out == formatJSON {
			return printJSON(cmd.OutOrStdout(), report)
		}
		verb := "ended"
		if dryRun {
			verb = "would be ended"
		}
		say(cmd, *out, "%d sessions %s, %d of their jobs set aside as dead letters, %d live runs stopped", report.Expired, verb, report.PurgedJobs, report.Stopped)
		if report.Roused > 0 {
			say(cmd, *out, "%d jobs that the stream would not have delivered any more: their sessions are woken", report.Roused)
		}
		return nil
	}
	return cmd
}

// sweep is one round of a worker that takes no jobs.
func (a *app) sweep(cmd *cobra.Command, dryRun bool) (worker.SweepReport, error) {
	c, err := a.load(cmd, nil)
	if err != nil {
		return worker.SweepReport{}, err
	}
	ctx, stop := a.interruptible(cmd.Context())
	defer stop()
	c.HTTP.Listen = ""
	c.NATS.Declare = "never" // a sweep finds things, it makes none
	n, err := a.startNode(ctx, c, c.RunAgents(), a.logger(c))
	if err != nil {
		return worker.SweepReport{}, err
	}
	defer n.close()
	renewing, end := context.WithCancel(ctx)
	var renewals sync.WaitGroup
	renewals.Go(func() { _ = n.leases.Run(renewing) }) // it ends with its context, and with nothing else
	defer renewals.Wait()
	defer end()
	return n.worker.Sweep(ctx, dryRun)
}
