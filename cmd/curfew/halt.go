package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker"
)

// halted is what halt and unhalt print.
type halted struct {
	Halted  bool     `json:"halted"`
	Changed bool     `json:"changed"` // false: it was so already
	Reason  string   `json:"reason"`
	By      string   `json:"by"`
	At      jsonTime `json:"at"`
	Workers int      `json:"workers"` // that answered
	// Stopped counts the runs that the halt ended, Live those that still lived when the command gave up waiting.
	Stopped int `json:"stopped"`
	Live    int `json:"live"`
	// Woken counts the sessions whose kept jobs were announced again.
	Woken int `json:"woken"`
}

func (a *app) haltCommand() *cobra.Command {
	var reason string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "halt",
		Short: "Stop every run of the fleet and let nothing start until unhalt; jobs are kept",
		Long: "The emergency brake: every live run is stopped and handed back, and no worker, not one that starts later either,\n" +
			"begins another until `curfew unhalt`. Jobs are kept and can be published; the sweeper rests. It waits until the\n" +
			"workers that answer have no live run any more, and fails when some still live after --wait.",
		Example: "  curfew halt --reason \"runaway spend\"\n  curfew halt --wait 0s -o json",
		Args:    args(0, 0),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`text` that is kept with the order and shown wherever somebody waits")
	cmd.Flags().DurationVar(&wait, "wait", time.Minute, "how long to wait for the runs' end: longer than the agents' grace")
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if wait < 0 {
			return wrong(cmd, "--wait %s: must not be negative", wait)
		}
		return a.withFleet(cmd, func(ctx context.Context, f *fleet) error {
			row, err := f.setHalt(ctx, registry.Halt{On: true, Reason: reason, By: caller(), At: time.Now().UTC()})
			if err != nil {
				return err
			}
			if row.Changed {
				say(cmd, *out, "the fleet is halted: nothing starts until `curfew unhalt`")
			} else {
				say(cmd, *out, "the fleet was halted already, at %s%s", when(time.Time(row.At)), because(row.Reason))
			}
			roll, err := f.untilStopped(ctx, row.revision, wait)
			if err != nil {
				return err
			}
			row.Workers = len(roll)
			for _, p := range roll {
				row.Stopped += p.HaltStopped
				row.Live += p.Live
			}
			if *out == formatJSON {
				if err := printJSON(cmd.OutOrStdout(), row.halted); err != nil {
					return err
				}
			}
			say(cmd, *out, "%d workers answered, %d runs stopped", row.Workers, row.Stopped)
			if row.Live > 0 {
				return fmt.Errorf("%d runs still live (%s): the order stands, they are killed when their agent's grace is over", row.Live, living(roll))
			}
			return nil
		})
	}
	return cmd
}

func (a *app) unhaltCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "unhalt",
		Short:   "Let the fleet run again after a halt",
		Long:    "Takes the brake off: workers pull again, kept jobs run at once, and sessions that expired meanwhile are buried.",
		Example: "  curfew unhalt",
		Args:    args(0, 0),
	}
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withFleet(cmd, func(ctx context.Context, f *fleet) error {
			row, err := f.setHalt(ctx, registry.Halt{By: caller(), At: time.Now().UTC()})
			if err != nil {
				return err
			}
			if row.Woken, err = f.wakeKept(ctx); err != nil {
				return fmt.Errorf("the fleet is not halted any more, but some kept jobs wait for their next delivery: %w", err)
			}
			roll, err := f.roll(ctx)
			if err != nil {
				return err
			}
			row.Workers = len(roll)
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), row.halted)
			}
			was := "the fleet runs again"
			if !row.Changed {
				was = "the fleet was not halted"
			}
			say(cmd, *out, "%s: %d workers answered, %d sessions with kept jobs were announced again", was, row.Workers, row.Woken)
			return nil
		})
	}
	return cmd
}

// haltOrder is what was written, or found where it was so already.
type haltOrder struct {
	halted
	revision uint64
}

func (f *fleet) setHalt(ctx context.Context, want registry.Halt) (haltOrder, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandTime, errTimeout)
	defer cancel()
	h, changed, err := f.records.SetHalt(ctx, want)
	if err != nil {
		return haltOrder{}, err
	}
	if err := f.queue.NudgeFleet(ctx); err != nil {
		return haltOrder{}, fmt.Errorf("it is written, and workers heed it within seconds: %w", err)
	}
	return haltOrder{revision: h.Revision, halted: halted{Halted: h.On, Changed: changed, Reason: h.Reason, By: h.By, At: jsonTime(h.At)}}, nil
}

// untilStopped calls the roll until every worker that ever answered heeds the halt and has no live run, for so long at most.
func (f *fleet) untilStopped(ctx context.Context, revision uint64, wait time.Duration) ([]worker.Presence, error) {
	ctx, cancel := context.WithTimeout(ctx, max(wait, rollQuiet))
	defer cancel()
	met := map[string]worker.Presence{}
	for {
		roll, err := f.roll(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range roll {
			met[p.ID] = p
		}
		answered := slices.SortedFunc(maps.Values(met), func(x, y worker.Presence) int { return cmp.Compare(x.ID, y.ID) })
		if !slices.ContainsFunc(answered, func(p worker.Presence) bool { return p.Live > 0 || p.Halt < revision }) {
			return answered, nil
		}
		if !rest(ctx, rollPause) {
			return answered, nil
		}
		if err := f.queue.NudgeFleet(ctx); err != nil && ctx.Err() == nil { // the first may have been lost
			return nil, err
		}
	}
}

// wakeKept announces the kept jobs of sessions that were begun: their deliveries may have been put off. Others are
// delivered as ever.
func (f *fleet) wakeKept(ctx context.Context) (int, error) {
	waiting, err := f.queue.Waiting(ctx)
	if err != nil {
		return 0, fmt.Errorf("read what waits: %w", err)
	}
	var kept []string
	now := time.Now()
	err = f.records.All(ctx, func(s registry.Snapshot) error {
		if waiting[s.Session] > 0 && s.Run == nil && (s.Over(now) || s.Paused == nil && !s.BackingOff(now)) {
			kept = append(kept, s.Session)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read the records: %w", err)
	}
	for i, session := range kept {
		if err := f.wake(ctx, session); err != nil && !errors.Is(err, queue.ErrNoMessage) {
			return i, err
		}
	}
	return len(kept), nil
}

// living names the workers that have live runs.
func living(roll []worker.Presence) string {
	var on []string
	for _, p := range roll {
		if p.Live > 0 {
			on = append(on, fmt.Sprintf("%d on %s", p.Live, printable(p.ID)))
		}
	}
	return strings.Join(on, ", ")
}

// caller is who gives an order, as well as this machine knows.
func caller() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}
