package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"curfew/queue"
	"curfew/registry"
)

func (a *app) stopCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "stop UUID",
		Short:   "Stop the live run of a session; the session stays usable",
		Long:    "Stops the live run: its job is done with, and the next one of the session runs. `cancel` ends the whole session.",
		Example: "  curfew stop 5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11",
		Args:    args(1, 1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`text` that is kept with the order")
	out := outputFlag(cmd.Flags())
	cmd.RunE = a.withSession(func(ctx context.Context, cmd *cobra.Command, f *fleet, session string) error {
		s, err := f.records.StopRun(ctx, session, reason)
		if err != nil {
			return f.notTakenUp(ctx, session, err)
		}
		f.nudge(session)
		say(cmd, *out, "the run of session %s is being stopped", session)
		return f.tellRow(ctx, cmd, *out, s.Session)
	})
	return cmd
}

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "cancel UUID",
		Short:   "End a session for good: its run is stopped, its waiting jobs become dead letters",
		Example: "  curfew cancel 5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11 --reason \"wrong repository\"",
		Args:    args(1, 1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`text` that is kept with the order")
	out := outputFlag(cmd.Flags())
	cmd.RunE = a.withSession(func(ctx context.Context, cmd *cobra.Command, f *fleet, session string) error {
		if err := f.known(ctx, session); err != nil {
			return err
		}
		s, err := f.records.Cancel(ctx, session, reason)
		if t := s.Tombstone; errors.Is(err, registry.ErrOver) && t != nil && t.Why == registry.WhyCancelled {
			say(cmd, *out, "session %s was cancelled already, at %s", session, when(t.At))
			return f.tellRow(ctx, cmd, *out, session)
		}
		if err != nil {
			return err
		}
		f.nudge(session)
		if s.Run == nil {
			if err := f.wake(ctx, session); err != nil {
				return err
			}
		}
		say(cmd, *out, "session %s is cancelled; jobs that wait become dead letters (`curfew dead ls --session %s`)", session, session)
		return f.tellRow(ctx, cmd, *out, session)
	})
	return cmd
}

func (a *app) extendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "extend UUID DURATION",
		Short:   "Move a session's curfew",
		Long:    "Moves the curfew of a session that has not reached it, also under a live run. 7 days of age are the most there is.",
		Example: "  curfew extend 5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11 2h",
		Args:    args(2, 2),
	}
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		by, err := time.ParseDuration(given[1])
		if err != nil || by < time.Millisecond {
			return wrong(cmd, "%q: must be a duration above 0, as 30m or 2h", given[1])
		}
		return a.withSession(func(ctx context.Context, cmd *cobra.Command, f *fleet, session string) error {
			s, err := f.records.Extend(ctx, session, by)
			if err != nil {
				return f.notTakenUp(ctx, session, err)
			}
			f.nudge(session)
			event := queue.Event{Type: "extended", Session: session, At: time.Now().UTC(), Reason: fmt.Sprintf("by %s: until %s", by, s.Curfew().UTC().Format(time.RFC3339))}
			if err := f.queue.Announce(ctx, fmt.Sprintf("extended:%s:%d", session, s.Revision), event); err != nil {
				return fmt.Errorf("the session was extended, but its event is missing: %w", err)
			}
			say(cmd, *out, "the curfew of session %s is now %s", session, when(s.Curfew()))
			return f.tellRow(ctx, cmd, *out, session)
		})(cmd, given)
	}
	return cmd
}

// errNotTakenUp: unlike a session that nobody knows, this one exists.
var errNotTakenUp = errors.New("no worker has taken it up yet: it has no run to stop and no curfew to move (`curfew show` says what it waits for, `curfew cancel` ends it)")

// notTakenUp tells a session whose jobs wait from one that nobody knows, both of which have no record.
func (f *fleet) notTakenUp(ctx context.Context, session string, err error) error {
	if errors.Is(err, registry.ErrNoSession) && f.known(ctx, session) == nil {
		return fmt.Errorf("session %s: %w", session, errNotTakenUp)
	}
	return err
}

// nudge tells the holder that there is an order to read. A lost one costs a renewal's time: the order is in the record.
func (f *fleet) nudge(session string) { _ = f.queue.Nudge(session) }

// known answers registry.ErrNoSession for a session that has neither a record nor a waiting job: most likely a mistyped one.
func (f *fleet) known(ctx context.Context, session string) error {
	s, err := f.records.Get(ctx, session)
	if err != nil || s.Revision != 0 {
		return err
	}
	if _, err := f.queue.Head(ctx, session, 0); errors.Is(err, queue.ErrNoMessage) {
		return fmt.Errorf("session %s: %w", session, registry.ErrNoSession)
	} else if err != nil {
		return fmt.Errorf("look for jobs of session %s: %w", session, err)
	}
	return nil
}

// wake has an idle worker adopt a session that nobody holds, so that an order for it is carried out at once.
func (f *fleet) wake(ctx context.Context, session string) error {
	head, err := f.queue.Head(ctx, session, 0)
	if errors.Is(err, queue.ErrNoMessage) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for jobs of session %s: %w", session, err)
	}
	return f.queue.Wake(ctx, session, head.Seq)
}

// tellRow prints the session after an order, for programs.
func (f *fleet) tellRow(ctx context.Context, cmd *cobra.Command, out format, session string) error {
	if out != formatJSON {
		return nil
	}
	s, err := f.records.Get(ctx, session)
	if err != nil {
		return err
	}
	waiting, err := f.queue.Waiting(ctx)
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), rowOf(s, waiting[session], time.Now()))
}
