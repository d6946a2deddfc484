package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"curfew/queue"
	"curfew/registry"
)

// sessionRow is a session as commands print it. It is made of the record and the stream: Redis is not asked.
type sessionRow struct {
	Session       string         `json:"session"`
	State         registry.State `json:"state"`
	Worker        string         `json:"worker"`
	PID           int            `json:"pid"`
	Agent         string         `json:"agent"`
	CreatedAt     jsonTime       `json:"created_at"`
	AgeSeconds    float64        `json:"age_seconds"`
	MaxAgeSeconds float64        `json:"max_age_seconds"`
	Fence         uint64         `json:"fence"`
	Attempts      int            `json:"attempts"`
	Waiting       uint64         `json:"waiting"`
	LastOutcome   string         `json:"last_outcome"`
	SpendUSD      float64        `json:"spend_usd"`
}

// rowOf shows a record; waiting counts its messages in the stream, of which a live run's own is not waiting any more.
func rowOf(s registry.Snapshot, waiting uint64, now time.Time) sessionRow {
	row := sessionRow{
		Session:       s.Session,
		State:         s.State(now),
		Agent:         s.Agent,
		CreatedAt:     jsonTime(s.CreatedAt),
		AgeSeconds:    now.Sub(s.CreatedAt).Round(time.Millisecond).Seconds(),
		MaxAgeSeconds: s.MaxAge().Seconds(),
		Attempts:      s.Begins.Count,
		Waiting:       waiting,
		SpendUSD:      s.SpendUSD,
	}
	if s.Last != nil {
		row.LastOutcome = s.Last.Outcome
	}
	if s.Run != nil {
		row.Worker, row.PID, row.Fence, row.Attempts = s.Run.Worker, s.Run.PID, s.Fence(), s.Run.Attempt
		row.Waiting -= min(row.Waiting, 1)
	}
	return row
}

// live tells whether a session has or awaits a run; the others are at rest and shown with --all.
func (r sessionRow) live() bool {
	switch r.State {
	case registry.StateRunning, registry.StateBackoff, registry.StatePaused:
		return true
	case registry.StateIdle:
		return r.Waiting > 0
	default:
		return false
	}
}

func (a *app) sessionsCommand() *cobra.Command {
	var all, watch bool
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List sessions: who runs what, how old, what waits",
		Long: "Lists the sessions that run or have work: running, in backoff, paused, or with jobs waiting. --all adds those at\n" +
			"rest, expired and cancelled.",
		Example: "  curfew sessions\n  curfew sessions --all -o json\n  curfew sessions --watch",
		Args:    args(0, 0),
	}
	cmd.Flags().BoolVar(&all, "all", false, "also sessions at rest, expired and cancelled ones")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on until Ctrl-C, printing the list again whenever something changes")
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := a.load(cmd, nil)
		if err != nil {
			return err
		}
		ctx, stop := a.brief(cmd.Context())
		defer stop()
		f, err := attach(ctx, &c.Config, a.logger(c))
		if err != nil {
			return err
		}
		defer f.close()
		if watch {
			stop()
			return a.watchSessions(cmd, f, all, *out)
		}
		rows, err := f.sessions(ctx, all)
		if err != nil {
			return err
		}
		if *out == formatJSON {
			return printJSON(cmd.OutOrStdout(), rows)
		}
		return printSessions(cmd.OutOrStdout(), rows)
	}
	return cmd
}

// sessions reads all records and what waits; sessions that no worker has taken up yet are known by their jobs alone.
func (f *fleet) sessions(ctx context.Context, all bool) ([]sessionRow, error) {
	waiting, err := f.queue.Waiting(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what waits: %w", err)
	}
	rows := []sessionRow{} // an empty list is [], not null
	now := time.Now()
	err = f.records.All(ctx, func(s registry.Snapshot) error {
		if row := rowOf(s, waiting[s.Session], now); all || row.live() {
			rows = append(rows, row)
		}
		delete(waiting, s.Session)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	for session, n := range waiting {
		if queue.ValidSession(session) {
			rows = append(rows, sessionRow{Session: session, State: registry.StateIdle, Waiting: n})
		}
	}
	slices.SortFunc(rows, func(x, y sessionRow) int {
		return cmp.Or(time.Time(x.CreatedAt).Compare(time.Time(y.CreatedAt)), cmp.Compare(x.Session, y.Session))
	})
	return rows, nil
}

func printSessions(w io.Writer, rows []sessionRow) error {
	header := []string{"SESSION", "STATE", "AGENT", "AGE", "OF", "ATTEMPT", "WAITING", "WORKER", "PID", "LAST"}
	lines := make([][]string, len(rows))
	for i, r := range rows {
		lines[i] = r.columns()
	}
	return table(w, header, lines)
}

func (r sessionRow) columns() []string {
	number := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	old, of := "", ""
	if !time.Time(r.CreatedAt).IsZero() {
		old, of = age(seconds(r.AgeSeconds)), age(seconds(r.MaxAgeSeconds))
	}
	return []string{
		r.Session, string(r.State), r.Agent, old, of, number(uint64(max(r.Attempts, 0))), number(r.Waiting),
		r.Worker, number(uint64(max(r.PID, 0))), r.LastOutcome,
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
