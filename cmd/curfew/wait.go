package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"curfew/queue"
)

// skew is how far the clocks of this machine and of the server may be apart: events older than the publish by more
// belong to an earlier stream.
const skew = time.Hour

// await follows a job to its final event, tells it, and answers the exit code that its end has.
func (p *publishing) await(cmd *cobra.Command, f *fleet, job published, began time.Time) error {
	q := f.queue
	ctx, stop := p.app.interruptible(cmd.Context())
	defer stop()
	if *p.out == formatText {
		fmt.Fprintln(cmd.ErrOrStderr(), job.line())
	}
	since := began.Add(-skew)
	if job.Duplicate {
		since = time.Time{} // it may have ended days ago
	}
	explaining, explained := context.WithCancel(ctx)
	heard := make(chan struct{}) // closed at the job's first event
	var explainer sync.WaitGroup
	explainer.Go(func() { p.explain(explaining, cmd, f, job.Session, heard) })
	final, err := p.follow(ctx, cmd, q, job, since, sync.OnceFunc(func() { close(heard) }))
	explained()
	explainer.Wait()
	if interrupted(ctx) {
		if *p.out == formatJSON {
			_ = p.tell(cmd, job)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "detached: the job goes on without us\n"+
			"  curfew show %s      how it stands\n  curfew logs -f %s   its output\n  curfew stop %s      ends its run\n",
			job.Session, job.Session, job.Session)
		return &endedError{code: exitDetached}
	}
	if err != nil {
		return fmt.Errorf("wait for job %s (it was published; `curfew show %s` tells how it stands): %w", job.Job, job.Session, err)
	}
	job.Final = &final
	if err := p.tellFinal(cmd, job, final); err != nil {
		return err
	}
	return p.ended(cmd.Context(), q, job, final)
}

// follow reads the session's events up to the job's final one, telling people what happens meanwhile.
func (p *publishing) follow(ctx context.Context, cmd *cobra.Command, q *queue.Queue, job published, since time.Time, heard func()) (queue.Event, error) {
	var final queue.Event
	err := q.Events(ctx, job.Session, since, true, func(e queue.Event) error {
		if e.Seq != job.Seq || e.Job != job.Job {
			return nil
		}
		heard()
		if e.Final {
			final = e
			return queue.ErrStop
		}
		if *p.out == formatText {
			fmt.Fprintln(cmd.ErrOrStderr(), eventLine(e))
		}
		return nil
	})
	return final, err
}

func (p *publishing) tellFinal(cmd *cobra.Command, job published, final queue.Event) error {
	if *p.out == formatJSON {
		return printJSONLine(cmd.OutOrStdout(), job)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), eventLine(final))
	if final.Result != nil {
		fmt.Fprint(cmd.OutOrStdout(), final.Result.Text)
		if !strings.HasSuffix(final.Result.Text, "\n") {
			fmt.Fprintln(cmd.OutOrStdout())
		}
	}
	return nil
}

// ended turns the outcome of a job into the exit code. What a drain handed back for good (worker.on_drain) may have
// become a dead letter or not, so its letter is looked for.
func (p *publishing) ended(ctx context.Context, q *queue.Queue, job published, final queue.Event) error {
	switch final.Outcome {
	case "succeeded":
		return nil
	case "terminated", "stopped", "cancelled", "replaced":
		return &endedError{code: exitEnded}
	case "expired":
		return &endedError{code: exitExpired}
	case "handed_back":
		buried := false
		err := q.DeadLetters(ctx, queue.DeadFilter{Session: job.Session}, func(d queue.DeadLetter) error {
			buried = buried || d.JobSeq == job.Seq
			return nil
		})
		if err != nil {
			return err
		}
		if !buried {
			return &endedError{code: exitEnded}
		}
	}
	return &endedError{code: exitDead}
}

// eventLine is an event in one line for people.
func eventLine(e queue.Event) string {
	parts := []string{e.At.Local().Format("2006-01-02 15:04:05.000 MST"), e.Type}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+printable(value))
		}
	}
	if e.Outcome != "" {
		parts[1] += " " + e.Outcome
	}
	add("seq", count(e.Seq))
	add("attempt", count(uint64(max(e.Attempt, 0))))
	add("worker", e.Worker)
	if e.Exit != nil && e.Exit.Code != nil {
		add("code", strconv.Itoa(*e.Exit.Code))
	}
	if e.Exit != nil {
		add("signal", e.Exit.Signal)
	}
	if e.RetryInMS > 0 {
		add("retry_in", (time.Duration(e.RetryInMS) * time.Millisecond).String())
	}
	add("purged", count(e.Purged))
	if e.Reason != "" {
		parts = append(parts, "("+printable(e.Reason)+")")
	}
	return strings.Join(parts, " ")
}

// count writes a number, and nothing for none.
func count(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
