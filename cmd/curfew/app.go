package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"curfew/cmd/internal/config"
	"curfew/worker/supervisor"
)

// app is what every command is given of the world, so that tests can run commands in their own process.
type app struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	// signals brings SIGINT and SIGTERM; main sends, the running command receives, nobody closes it. nil never brings any.
	signals <-chan os.Signal
	// supervisor ends what this process cannot; nil where it has none.
	supervisor *supervisor.Client

	// refusal ends what waits for an answer that its NATS user may not have.
	refusal refusal

	configFile string
}

// run executes one command line and answers the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := a.refusal.explains(root.ExecuteContext(ctx))
	if err != nil {
		a.tell(err)
	}
	return exitCode(err)
}

// tell prints an error, and with wrong usage what right usage is, in short.
func (a *app) tell(err error) {
	if quiet := (*endedError)(nil); errors.As(err, &quiet) {
		return
	}
	fmt.Fprintf(a.err, "curfew: %s\n", strings.TrimSpace(err.Error()))
	if wrong := (*usageError)(nil); errors.As(err, &wrong) {
		fmt.Fprintf(a.err, "\nUsage: %s\n`%s --help` has the rest, with examples.\n", shortUse(wrong.cmd), wrong.cmd.CommandPath())
	}
}

func shortUse(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " COMMAND"
	}
	return cmd.UseLine()
}

//nolint:contextcheck // commands get their context when they run
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "curfew",
		Short: "Runs agent sessions on a fleet of workers and ends each at its curfew",
		Long: "Curfew runs agent sessions as subprocesses on a fleet of workers: one subprocess at most is alive per session,\n" +
			"none outlives its session's wall clock, and no job is lost.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not found, 4 NATS or Redis unreachable.",
		Example: "  curfew demo                                # see what it does, nothing to install\n" +
			"  curfew dev                                 # servers and a worker on this machine\n" +
			"  curfew publish new \"hello\" --wait          # a job for a new session",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(wrongFlag)
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration `file` (default: $CURFEW_CONFIG, else ./curfew.yaml if it exists)")
	bind(flags, "namespace", "namespace", "`name` of the fleet")
	bind(flags, "nats-url", "nats.url", "`URL` of NATS")
	bind(flags, "redis-url", "redis.url", "`URL` of Redis")
	bind(flags, "log-level", "log.level", "`level`: error, warn, info, debug or trace")
	bind(flags, "log-format", "log.format", "`format`: auto, json or text")
	root.AddCommand(
		supervised(a.workerCommand()), supervised(a.devCommand()), a.demoCommand(), a.demoAgentCommand(),
		a.publishCommand(),
		a.sessionsCommand(), a.showCommand(), a.logsCommand(),
		a.haltCommand(), a.unhaltCommand(), a.workersCommand(),
		a.stopCommand(), a.cancelCommand(), a.extendCommand(), a.deadCommand(), a.sweepCommand(), a.setupCommand(), a.doctorCommand(),
		a.configCommand(), a.versionCommand(),
	)
	a.completions(root)
	root.SetOut(a.out) // the completion commands take it now
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	visit(root, func(cmd *cobra.Command) {
		switch { // cobra's own have none
		case cmd.Example != "":
		case cmd.Name() == "help":
			cmd.Example = "  curfew help publish"
		case cmd.Name() == "completion":
			cmd.Example = "  source <(curfew completion bash)"
			cmd.Args, cmd.RunE = noSuchCommand, needsCommand
		case cmd.HasParent() && cmd.Parent().Name() == "completion":
			cmd.Example = "  curfew completion " + cmd.Name() + " > curfew." + cmd.Name()
		}
	})
	return root
}

// configKey annotates a flag with the configuration key that it sets.
const configKey = "config-key"

// bind adds a flag that sets a configuration key; config checks its value.
func bind(flags *pflag.FlagSet, name, key, usage string) {
	flags.String(name, "", usage+" ("+key+")")
	flags.Lookup(name).Annotations = map[string][]string{configKey: {key}}
}

// load reads the configuration for a command: file, environment, then the flags that were given.
func (a *app) load(cmd *cobra.Command, base func(*config.Config)) (config.Loaded, error) {
	given := map[string]config.Flag{}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if key := f.Annotations[configKey]; len(key) == 1 {
			given[key[0]] = config.Flag{Name: "--" + f.Name, Value: f.Value.String()}
		}
	})
	return config.Load(config.Sources{File: a.configFile, Environ: a.environ, Flags: given, Base: base})
}

// getenv looks a variable up in the environment that the app was given; of one given twice the last counts.
func (a *app) getenv(name string) string {
	value := ""
	for _, kv := range a.environ {
		if n, v, ok := strings.Cut(kv, "="); ok && n == name {
			value = v
		}
	}
	return value
}

// logger is for commands that come and go: what fails they tell themselves, so it is silent unless a level was asked for.
func (a *app) logger(c config.Loaded) *logrus.Entry {
	level := logrus.ErrorLevel
	if c.Given["log.level"] {
		level = levelOf(c.Log.Level)
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(a.err, "curfew: warning: %s\n", w)
	}
	return newLogger(a.err, level, c.Log.Format == "json")
}

// serviceLogger is for commands that run on: as configured, JSON where nobody reads along.
func (a *app) serviceLogger(c config.Loaded) *logrus.Entry {
	asJSON := c.Log.Format == "json" || c.Log.Format == "auto" && !isTerminal(a.err)
	log := newLogger(a.err, levelOf(c.Log.Level), asJSON)
	for _, w := range c.Warnings {
		log.Warn(w)
	}
	return log
}

func levelOf(name string) logrus.Level {
	level, err := logrus.ParseLevel(name)
	if err != nil {
		return logrus.InfoLevel
	}
	return level
}

const logTime = "2006-01-02T15:04:05.000Z07:00"

func newLogger(out io.Writer, level logrus.Level, asJSON bool) *logrus.Entry {
	l := logrus.New()
	l.SetOutput(out)
	l.SetLevel(level)
	l.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: logTime})
	if asJSON {
		l.SetFormatter(&logrus.JSONFormatter{TimestampFormat: logTime})
	}
	return logrus.NewEntry(l)
}
