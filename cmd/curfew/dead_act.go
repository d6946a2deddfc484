package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"curfew/queue"
)

// retried is what dead retry prints of one letter.
type retried struct {
	ID        string `json:"id"`
	Session   string `json:"session"`
	Was       string `json:"was"`           // the letter's job
	Job       string `json:"job,omitempty"` // the job that was published for it: `publish`, events and logs call it so
	Seq       uint64 `json:"seq,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
	DryRun    bool   `json:"dry_run,omitempty"`
	Error     string `json:"error,omitempty"`
}

// retry is one dead retry command.
type retry struct {
	fleet  *fleet
	target string            // --session: a UUID, new, or "" for each letter's own
	fresh  map[string]string // old session -> the new one that its letters go to, in their order
	dryRun bool
}

var errOverSession = errors.New("the session is over and takes no more jobs: add --session new")

func (a *app) deadRetryCommand() *cobra.Command {
	var filter deadFilter
	var all, dryRun, yes bool
	var target string
	cmd := &cobra.Command{
		Use:   "retry ID...|--all",
		Short: "Publish dead letters again",
		Long: "Publishes the jobs of dead letters again, into their own session or another; a letter is gone once its job is\n" +
			"stored. An expired or cancelled session takes none: --session new begins another, one for the letters of each old one.",
		Example: "  curfew dead retry 12 13\n  curfew dead retry 12 --session new\n  curfew dead retry --all --reason crashed --dry-run",
		Args:    args(0, -1),
	}
	filter.add(cmd.Flags(), false)
	cmd.Flags().BoolVar(&all, "all", false, "all letters that the other flags choose")
	cmd.Flags().StringVar(&target, "session", "", "publish into this session: a `UUID`, or new")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would be published")
	yesFlag(cmd.Flags(), &yes)
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		if target != "" && target != "new" {
			if _, err := sessionArg(cmd, target); err != nil {
				return err
			}
		}
		if err := chosen(cmd, ids, all, &filter); err != nil {
			return err
		}
		return a.withFleet(cmd, func(ctx context.Context, f *fleet) error {
			letters, err := f.choose(ctx, ids, &filter)
			if err != nil {
				return err
			}
			if all && !dryRun && !yes {
				if err := a.confirm(ctx, cmd, "publish %d dead letters again", len(letters)); err != nil {
					return err
				}
			}
			r := &retry{fleet: f, target: target, fresh: map[string]string{}, dryRun: dryRun}
			return r.all(ctx, cmd, letters, *out)
		})
	}
	return cmd
}

// chosen makes sure that either letters were named or all were meant.
func chosen(cmd *cobra.Command, ids []string, all bool, filter *deadFilter) error {
	switch {
	case all && len(ids) > 0:
		return wrong(cmd, "--all goes without ids")
	case !all && len(ids) == 0:
		return wrong(cmd, "name letters by their ids (`curfew dead ls`), or say --all")
	case !all && filter.given():
		return wrong(cmd, "--session, --reason and --since choose among --all")
	}
	return filter.check(cmd)
}

// choose reads the letters before anything is done with them: a replayed job that fails again must not be met twice.
func (f *fleet) choose(ctx context.Context, ids []string, filter *deadFilter) ([]queue.DeadLetter, error) {
	var letters []queue.DeadLetter
	if len(ids) > 0 {
		for _, id := range ids {
			d, err := letter(ctx, f.queue, id)
			if err != nil {
				return nil, err
			}
			letters = append(letters, d)
		}
		return letters, nil
	}
	err := filter.letters(ctx, f.queue, func(d queue.DeadLetter) error {
		letters = append(letters, d)
		return nil
	})
	return letters, err
}

// all replays the letters in their order and goes on after one that could not be: its error is told at its place, and
// once more at the end.
func (r *retry) all(ctx context.Context, cmd *cobra.Command, letters []queue.DeadLetter, out format) error {
	rows := []retried{}
	var failed []error
	for _, d := range letters {
		row, err := r.one(ctx, d)
		if err != nil {
			err = fmt.Errorf("dead letter %s: %w", d.ID, err)
			row.Error = err.Error()
			failed = append(failed, err)
		}
		rows = append(rows, row)
		if err == nil {
			say(cmd, out, "%s", row.line())
		}
		if ctx.Err() != nil {
			break
		}
	}
	if out == formatJSON {
		if err := printJSON(cmd.OutOrStdout(), rows); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

func (r *retry) one(ctx context.Context, d queue.DeadLetter) (retried, error) {
	row := retried{ID: d.ID, Session: r.sessionOf(d), Was: d.Job, DryRun: r.dryRun}
	if !queue.ValidSession(row.Session) {
		return row, fmt.Errorf("its subject named no session: add --session new, or a UUID")
	}
	s, err := r.fleet.records.Get(ctx, row.Session)
	if err != nil {
		return row, err
	}
	if s.Revision != 0 && s.Over(time.Now()) {
		return row, fmt.Errorf("session %s is %s: %w", row.Session, s.State(time.Now()), errOverSession)
	}
	if r.dryRun {
		return row, nil
	}
	got, err := r.fleet.queue.Replay(ctx, d, row.Session)
	row.Job, row.Seq, row.Duplicate = got.ID, got.Seq, got.Duplicate
	return row, err
}

func (r *retry) sessionOf(d queue.DeadLetter) string {
	switch r.target {
	case "":
		return d.Session
	case "new":
		if r.fresh[d.Session] == "" {
			r.fresh[d.Session] = newSession()
		}
		return r.fresh[d.Session]
	default:
		return r.target
	}
}

func (r retried) line() string {
	if r.DryRun {
		return fmt.Sprintf("dead letter %s: job %s would be published into session %s", r.ID, printable(r.Was), r.Session)
	}
	return fmt.Sprintf("dead letter %s: job %s is published into session %s as %s, sequence %d", r.ID, printable(r.Was), r.Session, printable(r.Job), r.Seq)
}

func (a *app) deadDropCommand() *cobra.Command {
	var filter deadFilter
	var all, dryRun, yes bool
	cmd := &cobra.Command{
		Use:     "drop ID...|--all",
		Short:   "Delete dead letters for good",
		Example: "  curfew dead drop 12 13\n  curfew dead drop --all --reason expired --since 24h --dry-run",
		Args:    args(0, -1),
	}
	filter.add(cmd.Flags(), true)
	cmd.Flags().BoolVar(&all, "all", false, "all letters that the other flags choose")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would be deleted")
	yesFlag(cmd.Flags(), &yes)
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		if err := chosen(cmd, ids, all, &filter); err != nil {
			return err
		}
		return a.withFleet(cmd, func(ctx context.Context, f *fleet) error {
			letters, err := f.choose(ctx, ids, &filter)
			if err != nil {
				return err
			}
			if dryRun {
				return tellDrop(cmd, *out, letters)
			}
			if all && !yes {
				if err := a.confirm(ctx, cmd, "delete %d dead letters for good", len(letters)); err != nil {
					return err
				}
			}
			dropped := []string{}
			for _, d := range letters {
				if err := f.queue.DropLetter(ctx, d.ID); err != nil && !errors.Is(err, queue.ErrNoMessage) {
					return fmt.Errorf("drop dead letter %s: %w", d.ID, err)
				}
				dropped = append(dropped, d.ID)
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), map[string][]string{"dropped": dropped})
			}
			say(cmd, *out, "dropped %d dead letters", len(dropped))
			return nil
		})
	}
	return cmd
}

// tellDrop prints what drop --dry-run would delete.
func tellDrop(cmd *cobra.Command, out format, letters []queue.DeadLetter) error {
	would := []string{}
	for _, d := range letters {
		would = append(would, d.ID)
		say(cmd, out, "dead letter %s of session %s would be deleted: job %s (%s)", d.ID, d.Session, printable(d.Job), printable(d.Reason))
	}
	if out == formatJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"dropped": would, "dry_run": true})
	}
	return nil
}
