package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
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
		why, err := f.why(ctx, session)
		if err != nil || why == "" || why == said || isClosed(heard) {
			continue
		}
		said = why
		fmt.Fprintf(cmd.ErrOrStderr(), "%s nothing yet; it waits for %s\n", when(time.Now()), why)
	}
}

// why says what the session's waiting job waits for.
func (f *fleet) why(ctx context.Context, session string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandTime, errTimeout)
	defer cancel()
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
