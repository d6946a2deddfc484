package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

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
	show := a.plainly(cmd, out)
	var resized chan os.Signal // sent by the runtime, never closed
	if out == formatText {
		if screen := a.screenOn(a.out); screen != nil {
			defer screen.close()
			show = screen.show
			resized = make(chan os.Signal, 1)
			signal.Notify(resized, unix.SIGWINCH)
			defer signal.Stop(resized)
		}
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		text, err := f.list(ctx, all, out)
		if err == nil {
			err = show(text)
		}
		if err != nil && !interrupted(ctx) {
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
		case <-resized:
		case <-tick.C:
		}
	}
}

// plainly prints one list after the other, for pipes and terminals without escapes.
func (a *app) plainly(cmd *cobra.Command, out format) func(string) error {
	return func(text string) error {
		if out == formatText {
			text += "\n"
		}
		_, err := io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
}

// list is the list of sessions as text, with what there is to say about the fleet, or as a line of JSON.
func (f *fleet) list(ctx context.Context, all bool, out format) (string, error) {
	rows, err := f.sessions(ctx, all)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if out == formatJSON {
		err := printJSONLine(&b, rows)
		return b.String(), err
	}
	fmt.Fprintf(&b, "%s  %d sessions", when(time.Now()), len(rows))
	if halt, err := f.records.Halt(ctx); err != nil {
		return "", err
	} else if halt.On {
		fmt.Fprintf(&b, "  HALTED since %s%s", when(halt.At), because(halt.Reason))
	}
	b.WriteString("\n")
	err = printSessions(&b, rows)
	return b.String(), err
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
