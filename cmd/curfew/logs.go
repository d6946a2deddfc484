package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"curfew/queue"
	"curfew/registry"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	var job string
	cmd := &cobra.Command{
		Use:   "logs UUID",
		Short: "Print the output of a session's runs",
		Long: "Prints what the session's subprocesses wrote in the last 24 hours, byte for byte: their standard output to ours,\n" +
			"their standard error to ours. What had to be dropped is said on standard error, in its place.",
		Example: "  curfew logs 5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11\n  curfew logs -f 5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11",
		Args:    args(1, 1),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written, until Ctrl-C")
	cmd.Flags().StringVar(&job, "job", "", "only the output of the job with this `ID`")
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		session, err := sessionArg(cmd, given[0])
		if err != nil {
			return err
		}
		c, err := a.load(cmd, nil)
		if err != nil {
			return err
		}
		ctx, stop := a.interruptible(cmd.Context())
		defer stop()
		f, err := attach(ctx, &c.Config, a.logger(c))
		if err != nil {
			return err
		}
		defer f.close()
		if follow {
			if err := f.sayUnknown(ctx, cmd, session); err != nil {
				return err
			}
		}
		found := false
		gaps := gaps{}
		err = f.queue.Output(ctx, session, follow, func(chunk queue.Chunk) error {
			found = true
			if job != "" && chunk.Job != jobID(session, job) && chunk.Job != job {
				return nil
			}
			if missing := gaps.before(chunk); missing > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "curfew: %d bytes of %s dropped: NATS was away or too slow\n", missing, chunk.Stream)
			}
			w := cmd.OutOrStdout()
			if chunk.Stream == "stderr" {
				w = cmd.ErrOrStderr()
			}
			_, err := w.Write(chunk.Body)
			return err
		})
		switch {
		case interrupted(ctx):
			return nil
		case err != nil:
			return fmt.Errorf("read the output of session %s: %w", session, err)
		case found:
			return nil
		}
		_, err = f.details(ctx, session) // silent, or not there at all?
		return err
	}
	return cmd
}

// sayUnknown tells somebody who follows a session that there is no such session yet: it may be mistyped, or begin soon.
func (f *fleet) sayUnknown(ctx context.Context, cmd *cobra.Command, session string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, commandTime, errTimeout)
	defer cancel()
	err := f.known(ctx, session)
	if !errors.Is(err, registry.ErrNoSession) {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "curfew: nobody knows session %s yet; its output is printed when there is some, Ctrl-C ends this\n", session)
	return nil
}
