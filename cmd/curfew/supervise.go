package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"curfew/worker/supervisor"
)

// supervisedKey annotates a command that runs under a supervisor.
const supervisedKey = "supervised"

// supervised marks a command that runs a worker.
func supervised(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{supervisedKey: "yes"}
	return cmd
}

// supervise gives a command that runs a worker its parent: in the process that was started it becomes that parent and
// answers the exit code when everything is over. Everywhere else it only says where signals come from.
func (a *app) supervise(args []string) (code int, over bool) {
	signals := make(chan os.Signal, 4)
	a.signals = signals
	if cmd, _, err := a.root().Find(args); err == nil && cmd.Annotations[supervisedKey] != "" {
		if code, was := supervisor.Main(supervisor.Options{Err: a.err}); was {
			return code, true
		}
		client, err := supervisor.Connect()
		if err != nil {
			a.tell(err)
			return exitUsage, true
		}
		a.supervisor = client
	}
	if a.supervisor == nil {
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		return 0, false
	}
	// To a worker an order is what a signal would be: the first drains, the second hands back.
	go func() {
		for range a.supervisor.Orders() {
			signals <- syscall.SIGTERM
		}
	}()
	// Without its supervisor a worker hands back at once, and ends.
	go a.supervisor.Guard(func() {
		for range 2 {
			select {
			case signals <- syscall.SIGTERM:
			default: // it has been told often enough
			}
		}
	})
	return 0, false
}
