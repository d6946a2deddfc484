package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"curfew/cmd/internal/config"
	"curfew/cmd/internal/stack"
	"curfew/worker/process"
)

// Where dev's servers listen when nobody else does: then other commands find them without a flag.
const (
	usualNATSPort  = 4222
	usualRedisPort = 6379
)

func (a *app) devCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run servers and a worker on this machine until Ctrl-C; nothing to install",
		Long: "Starts an embedded NATS and an embedded Redis on loopback and a worker on them. Jobs are kept in the data folder\n" +
			"from one start to the next. Without agents in the configuration a built-in demonstration agent answers.",
		Example: "  curfew dev\n  curfew dev --config curfew.yaml --data ./dev-data",
		Args:    args(0, 0),
	}
	workerFlags(cmd.Flags())
	cmd.Flags().StringVar(&data, "data", "", "data `folder` (default: dev in the user's state folder)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := a.load(cmd, func(c *config.Config) { c.Worker.DrainTimeout = 5 * time.Second })
		if err != nil {
			return err
		}
		if err := ownServers(c); err != nil {
			return err
		}
		if data == "" {
			state, err := config.StateDir(a.getenv)
			if err != nil {
				return err
			}
			data = filepath.Join(state, "dev")
		}
		return a.dev(cmd, c, data)
	}
	return cmd
}

// ownServers refuses a configuration that names servers elsewhere: dev starts its own, and jobs would not be where
// somebody looks for them.
func ownServers(c config.Loaded) error {
	var problems []config.Problem
	refuse := func(key, is, own string) {
		if c.Given[key] && is != own {
			problems = append(problems, config.Problem{Where: c.Where[key], Key: key, Text: "names a server, but `curfew dev` starts its own: leave it out (as in CURFEW_CONFIG=/dev/null), or run `curfew worker` on that server"})
		}
	}
	def := config.Default()
	refuse("nats.url", c.NATS.URL, def.NATS.URL)
	refuse("redis.url", c.Redis.URL, def.Redis.URL)
	if len(problems) > 0 {
		return &config.Error{Problems: problems}
	}
	return nil
}

func (a *app) dev(cmd *cobra.Command, c config.Loaded, data string) error {
	if len(c.Agents) == 0 {
		own, err := demoAgentConfig()
		if err != nil {
			return err
		}
		c.Agents = map[string]config.Agent{"default": own}
	}
	if c.Worker.Data == "" {
		c.Worker.Data = filepath.Join(data, "work")
	}
	log := a.serviceLogger(c)
	servers, err := stack.Start(stack.Options{Data: data, NATSPort: usualNATSPort, RedisPort: usualRedisPort, Log: log})
	if err != nil {
		return err
	}
	defer servers.Close()
	c.NATS = config.NATS{URL: servers.NATSURL(), Replicas: 1, Declare: "auto"}
	c.Redis = config.Redis{URL: servers.RedisURL()}

	agents := c.RunAgents()
	if err := resolve(agents); err != nil {
		return err
	}
	starting, started := a.interruptible(cmd.Context())
	defer started()
	n, err := a.startNode(starting, c, agents, log)
	if err != nil {
		if interrupted(starting) {
			return nil
		}
		return err
	}
	started()
	defer n.close()
	fmt.Fprint(cmd.OutOrStdout(), devWelcome(c, n, data, os.Args[0]))
	return n.run(cmd.Context(), a, log)
}

// demoAgentConfig is an agent that needs no account: this very program.
func demoAgentConfig() (config.Agent, error) {
	self, err := os.Executable()
	if err != nil {
		return config.Agent{}, fmt.Errorf("find this program for the demonstration agent: %w", err)
	}
	return config.Agent{
		Command:    []string{self, "demo-agent"},
		Events:     "plain",
		Env:        config.Env{Pass: []string{"PATH", "HOME", "LANG"}},
		StopSignal: "TERM",
		Grace:      5 * time.Second,
		Limits:     config.Limits{OOMScoreAdj: process.DefaultOOMScore},
	}, nil
}

// devWelcome says where everything is, and what to try, in lines that can be copied.
func devWelcome(c config.Loaded, n *node, data, program string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "NATS   %s\nRedis  %s\n", c.NATS.URL, c.Redis.URL)
	if def := config.Default(); c.NATS.URL != def.NATS.URL || c.Redis.URL != def.Redis.URL {
		fmt.Fprintf(&b, "       (ports %d and %d, the usual ones, are not both free)\n", usualNATSPort, usualRedisPort)
	}
	if n.http != nil {
		fmt.Fprintf(&b, "page   http://%s/\n", n.http.Addr())
	}
	fmt.Fprintf(&b, "data   %s\n\nIn another terminal:\n", data)
	line := program
	if def := config.Default(); c.NATS.URL != def.NATS.URL {
		line += " --nats-url " + c.NATS.URL
	}
	if c.Namespace != config.Default().Namespace {
		line += " --namespace " + c.Namespace
	}
	fmt.Fprintf(&b, "  %s publish new \"hello\" --wait\n", line)
	fmt.Fprintf(&b, "  %s publish new \"sleep 1m\"\n", line)
	fmt.Fprintf(&b, "  %s sessions --all\n  %s dead ls\n\nCtrl-C ends it.\n", line, line)
	return b.String()
}
