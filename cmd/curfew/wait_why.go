package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"curfew/queue"
)

const (
	// silence is how long publish --wait waits for a first event before it says what the job waits for.
	silence = 10 * time.Second
	// silenceAgain is how long until it looks again, and says it where it changed.
	silenceAgain = 20 * time.Second
)

// explain tells people on stderr what a job waits for that nothing is heard of, until ctx ends or something is heard.
func (p *publishing) explain(ctx context.Context, cmd *cobra.Command, f *fleet, session string, heard <-chan struct{}) {
	said := ""
	for wait := silence; ; wait = silenceAgain {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-heard:
		case <-t.C:
		}
		t.Stop()
		if ctx.Err() != nil || isClosed(heard) {
			return
		}
		why, err := p.why(ctx, f, session)
		if is[*queue.PermissionError](err) {
			return // a producer need not be allowed to look
		}
		if err != nil || why == "" || why == said || isClosed(heard) {
			continue
		}
		said = why
		fmt.Fprintf(cmd.ErrOrStderr(), "%s nothing yet; it waits for %s\n", when(time.Now()), why)
	}
}

// why says what the session's waiting job waits for. A *queue.PermissionError ends nothing but this.
func (p *publishing) why(ctx context.Context, f *fleet, session string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandTime, errTimeout)
	defer cancel()
	ctx, done := p.app.refusal.optional(ctx)
	defer done()
	text, err := f.why(ctx, session)
	if cause := context.Cause(ctx); is[*queue.PermissionError](cause) {
		return "", cause
	}
	return text, err
}

func (f *fleet) why(ctx context.Context, session string) (string, error) {
	if f.records == nil {
		records, err := f.openRecords(ctx)
		if err != nil {
			return "", err
		}
		f.records = records
	}
	s, err := f.records.Get(ctx, session)
	if err != nil {
		return "", err
	}
	waiting, err := f.queue.Waiting(ctx)
	if err != nil {
		return "", err
	}
	return f.waitingFor(ctx, s, waiting[session], time.Now())
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
