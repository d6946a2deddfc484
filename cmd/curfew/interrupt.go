package main

import (
	"context"
	"errors"
	"io"
	"time"
)

// errInterrupted is the cause when a signal ends a command.
var errInterrupted = errors.New("interrupted")

// interruptible ends ctx with errInterrupted at the first signal, and at once where the NATS user lacks a permission.
func (a *app) interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, refusalKey{}, &a.refusal))
	id := a.refusal.watch(cancel)
	go func() {
		select {
		case <-a.signals:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { a.refusal.leave(id); cancel(nil) }
}

// commandTime bounds a command that asks servers something and ends.
const commandTime = 20 * time.Second

// brief is the context of such a command: a signal ends it too.
func (a *app) brief(ctx context.Context) (context.Context, func()) {
	ctx, stop := a.interruptible(ctx)
	ctx, cancel := context.WithTimeoutCause(ctx, commandTime, errTimeout)
	return ctx, func() { cancel(); stop() }
}

// interrupted tells whether a signal ended ctx: for a command that follows something that is its ordinary end.
func interrupted(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errInterrupted) }

// maxInput is far above what any server takes; the server's own limit is told when a job is published.
const maxInput = 64 << 20

// stdin reads standard input to its end, or until a signal: somebody may have meant to type something, or not.
func (a *app) stdin(ctx context.Context) ([]byte, error) {
	ctx, stop := a.interruptible(ctx)
	defer stop()
	type input struct {
		text []byte
		err  error
	}
	done := make(chan input, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(a.in, maxInput+1))
		done <- input{text, err}
	}()
	select {
	case in := <-done:
		return in.text, in.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
