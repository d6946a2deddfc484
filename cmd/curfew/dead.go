package main

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"curfew/queue"
)

// deadRow is a dead letter as commands print it.
type deadRow struct {
	ID       string   `json:"id"`
	Session  string   `json:"session"`
	Job      string   `json:"job"`
	JobSeq   uint64   `json:"job_seq"`
	Reason   string   `json:"reason"`
	Outcome  string   `json:"outcome"`
	Attempts int      `json:"attempts"`
	Exit     string   `json:"exit"`
	At       jsonTime `json:"at"`
}

func deadRowOf(d queue.DeadLetter) deadRow {
	return deadRow{
		ID: d.ID, Session: d.Session, Job: d.Job, JobSeq: d.JobSeq, Reason: d.Reason, Outcome: d.Outcome,
		Attempts: d.Attempts, Exit: d.Exit, At: jsonTime(d.At),
	}
}

func (a *app) deadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Look at dead letters, replay or drop them",
		Long:  "A dead letter is a job that was set aside with its reason. It is kept 30 days.",
		Example: "  curfew dead ls\n  curfew dead show 12\n  curfew dead retry 12 --session new\n" +
			"  curfew dead retry --all --reason crashed --dry-run",
		Args: noSuchCommand,
		RunE: needsCommand,
	}
	cmd.AddCommand(a.deadListCommand(), a.deadShowCommand(), a.deadRetryCommand(), a.deadDropCommand())
	return cmd
}

// deadFilter are the flags that choose letters.
type deadFilter struct {
	session, reason string
	since           time.Duration
}

func (f *deadFilter) add(flags *pflag.FlagSet, withSession bool) {
	if withSession {
		flags.StringVar(&f.session, "session", "", "only letters of this `UUID`, or of \"invalid\"")
	}
	flags.StringVar(&f.reason, "reason", "", "only letters with this `reason` or outcome, as expired or crashed")
	flags.DurationVar(&f.since, "since", 0, "only letters of the last `duration`, as 24h")
}

// given tells whether any of them was set.
func (f *deadFilter) given() bool { return f.session != "" || f.reason != "" || f.since != 0 }

// check refuses what cannot be meant.
func (f *deadFilter) check(cmd *cobra.Command) error {
	if f.since < 0 {
		return wrong(cmd, "--since %s: must be above 0", f.since)
	}
	if f.session != "" && f.session != invalidSession {
		_, err := sessionArg(cmd, f.session)
		return err
	}
	return nil
}

// invalidSession holds the letters of jobs whose subject names no session.
const invalidSession = "invalid"

// letters reads the letters that f chooses, oldest first.
func (f *deadFilter) letters(ctx context.Context, q *queue.Queue, each func(queue.DeadLetter) error) error {
	filter := queue.DeadFilter{Session: f.session, Reason: f.reason}
	if f.since > 0 {
		filter.Since = time.Now().Add(-f.since)
	}
	if err := q.DeadLetters(ctx, filter, each); err != nil {
		return fmt.Errorf("read the dead letters: %w", err)
	}
	return nil
}

func (a *app) deadListCommand() *cobra.Command {
	var filter deadFilter
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List dead letters, oldest first",
		Example: "  curfew dead ls\n  curfew dead ls --reason expired --since 24h -o json",
		Args:    args(0, 0),
	}
	filter.add(cmd.Flags(), true)
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := filter.check(cmd); err != nil {
			return err
		}
		return a.withFleet(cmd, func(ctx context.Context, f *fleet) error {
			rows := []deadRow{}
			err := filter.letters(ctx, f.queue, func(d queue.DeadLetter) error {
				rows = append(rows, deadRowOf(d))
				return nil
			})
			if err != nil {
				return err
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			return printDead(cmd, rows)
		})
	}
	return cmd
}

func printDead(cmd *cobra.Command, rows []deadRow) error {
	lines := make([][]string, len(rows))
	for i, r := range rows {
		job := strings.TrimPrefix(r.Job, r.Session+":") // the session stands beside it
		lines[i] = []string{r.ID, r.Session, job, r.Reason, fmt.Sprint(r.Attempts), r.Exit, when(time.Time(r.At))}
	}
	return table(cmd.OutOrStdout(), []string{"ID", "SESSION", "JOB", "REASON", "ATTEMPTS", "EXIT", "AT"}, lines)
}

func (a *app) deadShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one dead letter with its job",
		Example: "  curfew dead show 12",
		Args:    args(1, 1),
	}
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		return a.withFleet(cmd, func(ctx context.Context, f *fleet) error {
			d, err := letter(ctx, f.queue, given[0])
			if err != nil {
				return err
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), deadDetailsOf(d))
			}
			return printLetter(cmd, d)
		})
	}
	return cmd
}

// deadDetails is a dead letter with what its job said. Input that is not text is given as bytes, in base64.
type deadDetails struct {
	deadRow
	Headers    queue.Header `json:"headers,omitempty"`
	Input      string       `json:"input"`
	InputBytes []byte       `json:"input_bytes,omitempty"`
	Stderr     string       `json:"stderr,omitempty"`
}

func deadDetailsOf(d queue.DeadLetter) deadDetails {
	details := deadDetails{deadRow: deadRowOf(d), Headers: d.Header, Stderr: string(d.Stderr)}
	if utf8.Valid(d.Body) {
		details.Input = string(d.Body)
	} else {
		details.InputBytes = d.Body
	}
	return details
}

func printLetter(cmd *cobra.Command, d queue.DeadLetter) error {
	w := cmd.OutOrStdout()
	err := table(w, []string{"letter", d.ID}, [][]string{
		{"session", d.Session},
		{"job", d.Job},
		{"sequence", fmt.Sprint(d.JobSeq)},
		{"reason", d.Reason},
		{"outcome", d.Outcome},
		{"attempts", fmt.Sprint(d.Attempts)},
		{"exit", d.Exit},
		{"at", when(d.At)},
	})
	if err != nil {
		return err
	}
	if len(d.Stderr) > 0 {
		fmt.Fprintf(w, "\nlast of its standard error:\n%s\n", d.Stderr)
	}
	fmt.Fprintf(w, "\ninput:\n%s\n", d.Body)
	return nil
}

// letter reads one letter by its id.
func letter(ctx context.Context, q *queue.Queue, id string) (queue.DeadLetter, error) {
	d, err := q.DeadLetter(ctx, id)
	if err != nil {
		return d, fmt.Errorf("dead letter %q (`curfew dead ls` lists them): %w", printable(id), err)
	}
	return d, nil
}

// withFleet is the run of a command about the fleet: configuration, connection, and a bound on its time.
func (a *app) withFleet(cmd *cobra.Command, do func(ctx context.Context, f *fleet) error) error {
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
	return do(ctx, f)
}
