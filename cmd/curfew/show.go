package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"curfew/queue"
	"curfew/registry"
)

// sessionDetails is a session with its events.
type sessionDetails struct {
	sessionRow
	WaitingFor string        `json:"waiting_for"` // what its first waiting job waits for, "" for none
	Events     []queue.Event `json:"events"`
}

func (a *app) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show UUID",
		Short:   "Show one session and its events",
		Example: "  curfew show 5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11",
		Args:    args(1, 1),
	}
	out := outputFlag(cmd.Flags())
	cmd.RunE = a.withSession(func(ctx context.Context, cmd *cobra.Command, f *fleet, session string) error {
		d, err := f.details(ctx, session)
		if err != nil {
			return err
		}
		if *out == formatJSON {
			return printJSON(cmd.OutOrStdout(), d)
		}
		return d.print(cmd)
	})
	return cmd
}

// details reads one session. It exists when it has a record, a waiting job or events.
func (f *fleet) details(ctx context.Context, session string) (sessionDetails, error) {
	s, err := f.records.Get(ctx, session)
	if err != nil {
		return sessionDetails{}, err
	}
	waiting, err := f.queue.Waiting(ctx)
	if err != nil {
		return sessionDetails{}, fmt.Errorf("read what waits: %w", err)
	}
	d := sessionDetails{
		sessionRow: sessionRow{Session: session, State: registry.StateIdle, Waiting: waiting[session]},
		Events:     []queue.Event{},
	}
	if s.Revision != 0 {
		d.sessionRow = rowOf(s, waiting[session], time.Now())
	}
	if d.WaitingFor, err = f.waitingFor(ctx, s, waiting[session], time.Now()); err != nil {
		return d, err
	}
	err = f.queue.Events(ctx, session, time.Time{}, false, func(e queue.Event) error {
		d.Events = append(d.Events, e)
		return nil
	})
	if err != nil {
		return d, fmt.Errorf("read the events: %w", err)
	}
	if s.Revision == 0 && d.Waiting == 0 && len(d.Events) == 0 {
		return d, fmt.Errorf("session %s: %w (`curfew sessions --all` lists those there are)", session, errNotFound)
	}
	return d, nil
}

func (d sessionDetails) print(cmd *cobra.Command) error {
	w := cmd.OutOrStdout()
	rows := [][]string{
		{"state", string(d.State)},
		{"agent", d.Agent},
		{"waiting", fmt.Sprint(d.Waiting)},
		{"last outcome", d.LastOutcome},
	}
	if d.WaitingFor != "" {
		rows = append(rows, []string{"waiting for", d.WaitingFor})
	}
	if !time.Time(d.CreatedAt).IsZero() {
		created, maxAge := time.Time(d.CreatedAt), seconds(d.MaxAgeSeconds)
		rows = append(rows, []string{"created", fmt.Sprintf("%s, %s ago", when(created), age(seconds(d.AgeSeconds)))},
			[]string{"curfew", fmt.Sprintf("%s, at %s of age", when(created.Add(maxAge)), age(maxAge))})
	}
	if d.Worker != "" {
		rows = append(rows, []string{"run", fmt.Sprintf("attempt %d on %s, process %d, fence %d", d.Attempts, d.Worker, d.PID, d.Fence)})
	}
	if d.SpendUSD > 0 {
		rows = append(rows, []string{"spend", fmt.Sprintf("%.4f USD", d.SpendUSD)})
	}
	if err := table(w, []string{"session", d.Session}, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, e := range d.Events {
		fmt.Fprintln(w, eventLine(e))
	}
	return nil
}

// withSession is the run of a command about one session: configuration, connection, and a bound on its time.
func (a *app) withSession(do func(ctx context.Context, cmd *cobra.Command, f *fleet, session string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, given []string) error {
		session, err := sessionArg(cmd, given[0])
		if err != nil {
			return err
		}
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
		return do(ctx, cmd, f, session)
	}
}
