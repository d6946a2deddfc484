package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"curfew/cmd/internal/config"
)

func (a *app) workerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run jobs until a signal",
		Long: "Pulls jobs and runs the sessions they belong to. It logs `worker ready` once it pulls.\n" +
			"SIGTERM or SIGINT drains: no new jobs, live runs go on up to worker.drain_timeout, what has to be stopped then\n" +
			"becomes what worker.on_drain says. A second signal stops them at once. Either way the exit code is 0.",
		Example: "  curfew worker --config curfew.yaml\n  curfew worker --concurrency 8 --nats-url nats://nats:4222 --redis-url redis://redis:6379/0",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd, nil)
			if err != nil {
				return err
			}
			calmCollector()
			return a.runWorker(cmd.Context(), c)
		},
	}
	workerFlags(cmd.Flags())
	return cmd
}

// calmCollector lets a worker's small heap grow further between collections: at the usual rate, collecting took a seventh
// of the CPU that a short job costs. GOGC in the environment wins.
func calmCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// workerFlags are the flags of commands that run a worker.
func workerFlags(flags *pflag.FlagSet) {
	bind(flags, "concurrency", "worker.concurrency", "live subprocesses at most, a `number`")
	bind(flags, "worker-id", "worker.id", "`name` of this worker")
	bind(flags, "drain-timeout", "worker.drain_timeout", "how long a drain lets runs go on, a `duration`")
	bind(flags, "on-drain", "worker.on_drain", "what becomes of a job that a drain stopped: `requeue`, ack or dead")
	bind(flags, "http-listen", "http.listen", "`host:port` of the page, /healthz, /readyz and /metrics, empty for off")
}

func (a *app) runWorker(ctx context.Context, c config.Loaded) error {
	agents := c.RunAgents()
	if len(agents) == 0 {
		return &config.Error{Problems: []config.Problem{{
			Where: c.File, Key: "agents", Text: "is empty: a worker runs nothing without one (`curfew config example` shows how, `curfew dev` has one built in)",
		}}}
	}
	if err := resolve(agents); err != nil {
		return err
	}
	log := a.serviceLogger(c)
	starting, started := a.interruptible(ctx)
	n, err := a.startNode(starting, c, agents, log)
	wasInterrupted := interrupted(starting)
	started()
	if wasInterrupted {
		if err == nil {
			n.close()
		}
		log.Info("interrupted before the start")
		return nil
	}
	if err != nil {
		return err
	}
	defer n.close()
	return n.run(ctx, a, log)
}

// run works until a signal has drained the worker.
func (n *node) run(ctx context.Context, a *app, log *logrus.Entry) error {
	ended := make(chan error, 1)
	go func() { ended <- n.worker.Run(ctx) }()
	for count := 0; ; count++ {
		select {
		case err := <-ended:
			if err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("worker %s: %w", n.id, err)
			}
			return nil
		case s := <-a.signals:
			if count == 0 {
				log.WithField("signal", s.String()).Info("draining: live runs may finish; a second signal stops them and hands their jobs back at once")
				n.worker.Drain()
			} else {
				log.WithField("signal", s.String()).Info("handing back: live runs are stopped")
				n.worker.HandBack()
			}
		}
	}
}
