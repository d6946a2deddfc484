package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"curfew/cmd/internal/config"
	"curfew/cmd/internal/stack"
)

const (
	demoTime    = 3 * time.Minute // of the whole demonstration
	demoActTime = time.Minute     // of one act, far above what it takes
	demoMaxAge  = 2 * time.Second // of the sessions that show the curfew
	demoGrace   = 500 * time.Millisecond
)

var errDemo = errors.New("the demonstration found a guard that does not hold")

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show each guard with real subprocesses, and check it; nothing to install",
		Long: "Starts an embedded stack and two workers in a folder that is removed again, runs jobs that show what Curfew\n" +
			"guards against, and checks each claim, with a witness of its own where it can. Under a minute; exit code 1 when a\n" +
			"check fails.",
		Example: "  curfew demo",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := a.interruptible(cmd.Context())
			defer stop()
			ctx, cancel := context.WithTimeoutCause(ctx, demoTime, errTimeout)
			defer cancel()
			level := logrus.ErrorLevel
			if f := cmd.Flags().Lookup("log-level"); f != nil && f.Changed {
				level = levelOf(f.Value.String())
			}
			err := a.demo(ctx, cmd, newLogger(a.err, level, false))
			if interrupted(ctx) {
				return &endedError{code: exitDetached}
			}
			return err
		},
	}
}

// demo sets the stage, plays the acts and cleans up.
func (a *app) demo(ctx context.Context, cmd *cobra.Command, log *logrus.Entry) error {
	dir, err := os.MkdirTemp("", "curfew-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demonstration: %w", err)
	}
	defer os.RemoveAll(dir)
	servers, err := stack.Start(stack.Options{Data: filepath.Join(dir, "stack"), Log: log})
	if err != nil {
		return err
	}
	defer servers.Close()
	d := &demo{app: a, out: cmd.OutOrStdout(), color: a.colored(a.out), dir: dir, witness: filepath.Join(dir, "witness"), log: log}
	if err := os.Mkdir(d.witness, 0o700); err != nil {
		return fmt.Errorf("make a folder for the witness: %w", err)
	}
	if err := d.configure(servers); err != nil {
		return err
	}
	defer d.stopWorkers()
	for _, name := range []string{"red", "blue"} {
		if err := d.startWorker(ctx, name); err != nil {
			return err
		}
	}
	if d.fleet, err = attach(ctx, &d.config, log); err != nil {
		return err
	}
	defer d.fleet.close()
	return d.play(ctx)
}

// configure is a fleet with short limits, whose agent is this program.
func (d *demo) configure(servers *stack.Stack) error {
	own, err := demoAgentConfig()
	if err != nil {
		return err
	}
	own.Grace = demoGrace
	own.Env.Set = map[string]string{witnessVariable: d.witness}
	brief := own
	brief.MaxAge = demoMaxAge
	c := config.Default()
	c.NATS.URL, c.Redis.URL, c.HTTP.Listen = servers.NATSURL(), servers.RedisURL(), ""
	c.Retry = config.Retry{Attempts: 2, Backoff: 200 * time.Millisecond, MaxBackoff: time.Second}
	c.Worker.DrainTimeout = 100 * time.Millisecond
	c.Worker.RunDir = filepath.Join(d.dir, "run")
	c.Session.SweepEvery = time.Second
	c.Agents = map[string]config.Agent{"default": own, "brief": brief}
	d.config = c
	return nil
}

func (d *demo) play(ctx context.Context) error {
	began := time.Now()
	var failed []string
	for i, act := range acts() {
		fmt.Fprintf(d.out, "\n%s\n", d.bold(fmt.Sprintf("%d. %s", i+1, act.title)))
		before := d.failed
		actCtx, cancel := context.WithTimeoutCause(ctx, demoActTime, errTimeout)
		err := act.play(actCtx, d)
		cancel()
		if err != nil {
			d.check(false, "the act came to its end: %v", err)
		}
		if d.failed > before {
			failed = append(failed, act.title)
		}
		switch {
		case ctx.Err() == nil:
		case errors.Is(context.Cause(ctx), errTimeout):
			return fmt.Errorf("%w: no time was left after: %s", errDemo, act.title)
		default:
			return context.Cause(ctx)
		}
	}
	took := time.Since(began).Round(100 * time.Millisecond)
	if d.failed > 0 {
		return fmt.Errorf("%w: %d of %d checks failed, in: %s", errDemo, d.failed, d.checks, strings.Join(failed, "; "))
	}
	fmt.Fprintf(d.out, "\n%s\n", d.green(fmt.Sprintf("All %d checks held, in %s.", d.checks, took)))
	fmt.Fprintln(d.out, "Next: `curfew dev` runs a fleet of one on this machine, `curfew config example` shows every setting.")
	return nil
}
