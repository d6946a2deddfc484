package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"curfew/registry"
)

const (
	watchPause = 200 * time.Millisecond // at most five lists a second, whatever happens
	watchEvery = 2 * time.Second        // ages grow, and jobs arrive without a change of a record
)

// watchSessions prints the list whenever a record changes. On a terminal the list stays in place; with -o json each list
// is one line.
func (a *app) watchSessions(cmd *cobra.Command, f *fleet, all bool, out format) error {
	ctx, stop := a.interruptible(cmd.Context())
	defer stop()
	changed := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- f.records.Watch(ctx, func(registry.Snapshot) error {
			select {
			case changed <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := a.printOnce(ctx, cmd, f, all, out); err != nil && !interrupted(ctx) {
			return err
		}
		if !rest(ctx, watchPause) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if interrupted(ctx) {
				return nil
			}
			return fmt.Errorf("watch the records: %w", err)
		case <-changed:
		case <-tick.C:
		}
	}
}

func (a *app) printOnce(ctx context.Context, cmd *cobra.Command, f *fleet, all bool, out format) error {
	rows, err := f.sessions(ctx, all)
	if err != nil {
		return err
	}
	if out == formatJSON {
		return printJSONLine(cmd.OutOrStdout(), rows)
	}
	if isTerminal(a.out) {
		fmt.Fprint(a.out, "\x1b[H\x1b[2J") // top left, and an empty screen
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s  %d sessions\n", time.Now().Format(time.TimeOnly), len(rows))
	return printSessions(cmd.OutOrStdout(), rows)
}

// rest waits for d; false when ctx ended first.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
