package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"curfew/worker"
)

const (
	// rollQuiet ends a roll call when no further worker answers for so long.
	rollQuiet = 500 * time.Millisecond
	// rollPause is the time between two roll calls of a command that waits.
	rollPause = 100 * time.Millisecond
)

func (a *app) workersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "workers",
		Short:   "Look at the workers of the fleet",
		Example: "  curfew workers ls",
		Args:    noSuchCommand,
		RunE:    needsCommand,
	}
	cmd.AddCommand(a.workersListCommand())
	return cmd
}

func (a *app) workersListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the workers that answer now, with what they do",
		Long: "Calls the roll: lists the workers that answer within half a second of each other. State is pulling, draining,\n" +
			"halted, refusing (its agents are misconfigured) or away (it cannot pull for now).",
		Example: "  curfew workers ls\n  curfew workers ls -o json",
		Args:    args(0, 0),
	}
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withFleet(cmd, func(ctx context.Context, f *fleet) error {
			roll, err := f.roll(ctx)
			if err != nil {
				return err
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), workerRows(roll))
			}
			return printWorkers(cmd, roll)
		})
	}
	return cmd
}

// workerRow is a worker as commands print it.
type workerRow struct {
	ID      string       `json:"id"`
	Host    string       `json:"host"`
	PID     int          `json:"pid"`
	Version string       `json:"version"`
	Started jsonTime     `json:"started_at"`
	State   worker.State `json:"state"`
	Reason  string       `json:"reason"`
	Live    int          `json:"live"`
	Slots   int          `json:"slots"`
	Agents  []string     `json:"agents"`
}

func workerRows(roll []worker.Presence) []workerRow {
	rows := []workerRow{} // an empty list is [], not null
	for _, p := range roll {
		rows = append(rows, workerRow{
			ID: p.ID, Host: p.Host, PID: p.PID, Version: p.Version, Started: jsonTime(p.Started), State: p.State,
			Reason: p.Reason, Live: p.Live, Slots: p.Slots, Agents: append([]string{}, p.Agents...),
		})
	}
	return rows
}

func printWorkers(cmd *cobra.Command, roll []worker.Presence) error {
	lines := make([][]string, len(roll))
	for i, p := range roll {
		lines[i] = []string{
			p.ID, string(p.State), fmt.Sprintf("%d of %d", p.Live, p.Slots), p.Host, fmt.Sprint(p.PID), p.Version,
			age(time.Since(p.Started)), strings.Join(p.Agents, ","), p.Reason,
		}
	}
	return table(cmd.OutOrStdout(), []string{"WORKER", "STATE", "LIVE", "HOST", "PID", "VERSION", "UP", "AGENTS", "WHY"}, lines)
}

// roll asks all workers who they are; the answers are in the order of their ids. Nobody there is no error.
func (f *fleet) roll(ctx context.Context) ([]worker.Presence, error) {
	met := map[string]worker.Presence{}
	var broken error
	err := f.queue.RollCall(ctx, rollQuiet, func(answer []byte) bool {
		var p worker.Presence
		if err := json.Unmarshal(answer, &p); err != nil {
			broken = fmt.Errorf("a worker's answer to the roll call: %w", err)
			return true
		}
		met[p.ID] = p
		return true
	})
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(met), func(x, y worker.Presence) int { return cmp.Compare(x.ID, y.ID) }), broken
}
