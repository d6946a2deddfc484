package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"curfew/queue"
	"curfew/registry"
)

// completionTime bounds what a shell waits for when somebody presses Tab.
const completionTime = 2 * time.Second

// completions registers what a shell can complete: flags whose values are few, and what the fleet knows.
func (a *app) completions(root *cobra.Command) {
	fixed := map[string][]string{
		"conflict":   {string(queue.ConflictQueue), string(queue.ConflictReplace), string(queue.ConflictReject)},
		"output":     {string(formatText), string(formatJSON)},
		"on-drain":   {"requeue", "ack", "dead"},
		"log-level":  {"error", "warn", "info", "debug", "trace"},
		"log-format": {"auto", "json", "text"},
		"reason":     {"crashed", "expired", "cancelled", "failed", "misconfigured", "timed_out", "stalled", "truncated", "rejected", "invalid"},
	}
	asked := map[string]cobra.CompletionFunc{"agent": a.completeAgents, "session": a.completeSessions}
	visit(root, func(cmd *cobra.Command) {
		for name, values := range fixed {
			if cmd.Flags().Lookup(name) == nil && cmd.PersistentFlags().Lookup(name) == nil {
				continue
			}
			if name == "reason" && cmd.Parent().Name() != "dead" {
				continue // elsewhere it is free text
			}
			_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
		for name, values := range asked {
			if cmd.Flags().Lookup(name) != nil {
				_ = cmd.RegisterFlagCompletionFunc(name, values)
			}
		}
		switch {
		case cmd.ValidArgsFunction != nil || cmd.HasSubCommands():
		case strings.Contains(cmd.Use, " UUID"):
			cmd.ValidArgsFunction = firstArg(a.completeSessions)
		case strings.Contains(cmd.Use, " ID"):
			cmd.ValidArgsFunction = a.completeLetters
		default:
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
	})
}

// visit calls f for the command and all below it.
func visit(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		visit(sub, f)
	}
}

// firstArg completes the first argument only.
func firstArg(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, given []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(given) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, given, begun)
	}
}

// completing asks the fleet for values; a fleet that does not answer in time has none.
func (a *app) completing(cmd *cobra.Command, begun string, values func(context.Context, *fleet) ([]string, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := a.load(cmd, nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	c.Warnings = nil // a shell shows what a completion says
	f, err := attach(ctx, &c.Config, a.logger(c))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer f.close()
	found, err := values(ctx, f)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found = slices.DeleteFunc(found, func(s string) bool { return !strings.HasPrefix(s, begun) })
	return found, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeSessions(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completing(cmd, begun, func(ctx context.Context, f *fleet) ([]string, error) {
		var found []string
		err := f.records.All(ctx, func(s registry.Snapshot) error {
			found = append(found, s.Session)
			return nil
		})
		return found, err
	})
}

func (a *app) completeAgents(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completing(cmd, begun, func(ctx context.Context, f *fleet) ([]string, error) {
		roll, err := f.roll(ctx)
		names := map[string]bool{}
		for _, p := range roll {
			for _, name := range p.Agents {
				names[name] = true
			}
		}
		return slices.Sorted(maps.Keys(names)), err
	})
}

func (a *app) completeLetters(cmd *cobra.Command, given []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completing(cmd, begun, func(ctx context.Context, f *fleet) ([]string, error) {
		var found []string
		err := f.queue.DeadLetters(ctx, queue.DeadFilter{}, func(d queue.DeadLetter) error {
			if !slices.Contains(given, d.ID) {
				found = append(found, d.ID)
			}
			return nil
		})
		return found, err
	})
}
