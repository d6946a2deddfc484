package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"curfew/cmd/internal/board"
	"curfew/cmd/internal/config"
	"curfew/cmd/internal/console"
	"curfew/queue"
	"curfew/registry"
	"curfew/worker"
	"curfew/worker/agent"
)

// node is a worker with its connections and its HTTP server, as `worker`, `dev` and `demo` run it.
type node struct {
	id        string
	queue     *queue.Queue
	redis     *registry.Redis
	leases    *registry.Leases
	records   *registry.Records
	worker    *worker.Worker
	http      *console.Server // nil when off
	counters  *console.Counters
	stopPage  func() // set with http
	pageEnded sync.WaitGroup
	host      *host // nil before it was claimed
	log       *logrus.Entry
}

// pingTime bounds what readiness and metrics ask Redis.
const pingTime = time.Second

// tidyEvery is how often a worker looks for work folders to remove: they stay for a day anyway.
const tidyEvery = 10 * time.Minute

// closeTime bounds the end of requests under way.
const closeTime = 2 * time.Second

// startNode connects to both servers, declares what is missing there and starts the HTTP server. It pulls nothing yet.
func (a *app) startNode(ctx context.Context, c config.Loaded, agents map[string]*agent.Agent, log *logrus.Entry) (*node, error) {
	wc, err := a.workerConfig(&c.Config, agents)
	if err != nil {
		return nil, err
	}
	n := &node{id: wc.ID, log: log, counters: console.NewCounters(slices.Sorted(maps.Keys(agents)))}
	wc.Observer = n.counters
	if n.host, err = claimHost(ctx, &wc, log); err != nil {
		return nil, err
	}
	if err := n.connect(ctx, &c.Config, wc); err != nil {
		n.close()
		return nil, err
	}
	if err := n.serve(ctx, c); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *node) connect(ctx context.Context, c *config.Config, wc worker.Config) (err error) {
	if n.queue, err = connectQueue(ctx, c, "curfew worker "+n.id, n.log, func(o *queue.Options) { o.OutputLost = n.counters.OutputDropped }); err != nil {
		return err
	}
	if n.redis, err = connectRedis(ctx, c, n.log); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, commandTime, errTimeout)
	defer cancel()
	if err := n.queue.Declare(ctx, agreed(c)); err != nil {
		return err
	}
	if n.records, err = openRecords(ctx, c, n.queue, c.NATS.Declare == queue.DeclareAuto, n.log); err != nil {
		return err
	}
	n.leases = registry.NewLeases(n.redis, c.Namespace, c.Terms(), n.log)
	n.worker, err = worker.New(wc, n.queue, n.leases, n.records, n.log)
	return err
}

// serve starts the HTTP server. The default address that is taken, as by a second worker on this machine, only costs
// that worker its HTTP; one that was chosen is an error.
func (n *node) serve(ctx context.Context, c config.Loaded) error {
	if c.HTTP.Listen == "" {
		return nil
	}
	page := board.New(n.records, n.queue, n.log)
	server, err := console.Start(ctx, console.Options{
		Page:   &console.Page{Namespace: c.Namespace, Worker: n.id, Version: version, View: page.View},
		Listen: c.HTTP.Listen, Token: c.HTTP.Token, Hosts: c.HTTP.Hosts, Ready: n.ready, Log: n.log,
		Metrics: console.NewMetrics(console.Sources{
			NATSUp: n.queue.Up, RedisUp: n.redisUp, Live: n.worker.Live, Slots: n.worker.Slots, More: []prometheus.Collector{n.counters},
		}),
	})
	if err != nil && c.HTTP.Listen == config.Default().HTTP.Listen {
		n.log.WithError(err).Warn("going on without HTTP: set http.listen to another address, or to nothing")
		return nil
	}
	if err != nil {
		return err
	}
	n.http = server
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stopPage = sync.OnceFunc(func() { stop(); n.pageEnded.Wait() })
	n.pageEnded.Go(func() { page.Run(watching) })
	n.log.WithField("address", server.Addr()).Debug("HTTP is listening")
	return nil
}

// ready tells why the worker is not: /readyz.
func (n *node) ready() error {
	if !n.queue.Up() {
		return errors.New("NATS is not connected")
	}
	ctx, cancel := context.WithTimeout(context.Background(), pingTime)
	defer cancel()
	if err := n.redis.Ping(ctx); err != nil {
		return err
	}
	return n.worker.Ready()
}

func (n *node) redisUp() bool {
	ctx, cancel := context.WithTimeout(context.Background(), pingTime)
	defer cancel()
	return n.redis.Ping(ctx) == nil
}

// close ends what startNode began; the worker has to be drained before.
//
//nolint:contextcheck // closing has its own bound, also when the context has ended
func (n *node) close() {
	if n.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		n.http.Close(ctx)
		n.stopPage()
	}
	if n.queue != nil {
		n.queue.Close()
	}
	if n.redis != nil {
		if err := n.redis.Close(); err != nil {
			n.log.WithError(err).Debug("closing Redis")
		}
	}
	n.host.close()
}

// workerConfig fills in what the configuration leaves to this machine, and makes the folders.
func (a *app) workerConfig(c *config.Config, agents map[string]*agent.Agent) (worker.Config, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	id := c.Worker.ID
	if id == "" {
		id = host + "-" + strings.ToLower(rand.Text()[:6])
	}
	data := c.Worker.Data
	if data == "" {
		if data, err = config.StateDir(a.getenv); err != nil {
			return worker.Config{}, err
		}
	}
	if data, err = filepath.Abs(data); err != nil {
		return worker.Config{}, fmt.Errorf("worker.data: %w", err)
	}
	runDir := c.Worker.RunDir
	if runDir == "" {
		runDir = config.RuntimeDir(a.getenv)
	}
	for key, dir := range map[string]string{"worker.data": data, "worker.run_dir": runDir} {
		perm := os.FileMode(0o700)
		if key == "worker.data" && otherUsers(agents) {
			perm = 0o711
		}
		if err := os.MkdirAll(dir, perm); err != nil {
			return worker.Config{}, fmt.Errorf("make the folder of %s: %w", key, err)
		}
	}
	return worker.Config{
		ID: id, Host: host, Version: version,
		Concurrency:      c.Worker.Concurrency,
		DrainTimeout:     c.Worker.DrainTimeout,
		OnDrain:          worker.OnDrain(c.Worker.OnDrain),
		Data:             data,
		RunDir:           runDir,
		MaxAge:           c.Session.MaxAge,
		SweepEvery:       c.Session.SweepEvery,
		TidyEvery:        tidyEvery,
		Attempts:         c.Retry.Attempts,
		Backoff:          c.Retry.Backoff,
		MaxBackoff:       c.Retry.MaxBackoff,
		BusyDelay:        c.Queue.BusyDelay,
		AckWait:          c.Queue.AckWait,
		UnknownAgentWait: c.Queue.UnknownAgentWait,
		Agents:           agents,
		Lease:            c.Terms(),
		Supervisor:       a.supervisor,
	}, nil
}

// otherUsers is whether runs of some agent belong to somebody else than the worker.
func otherUsers(agents map[string]*agent.Agent) bool {
	for _, a := range agents {
		if a.Limits.Credential != nil {
			return true
		}
	}
	return false
}

// resolve looks the agents' programs up, so that a missing one is told at the start and not by a failing job.
func resolve(agents map[string]*agent.Agent) error {
	var missing []error
	for _, name := range slices.Sorted(maps.Keys(agents)) {
		if err := agents[name].Resolve(); err != nil {
			missing = append(missing, err)
		}
	}
	return errors.Join(missing...)
}
