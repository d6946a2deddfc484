package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"curfew/cmd/internal/config"
	"curfew/cmd/internal/doctor"
	"curfew/registry"
	"curfew/worker/process"
)

// doctorTime bounds every check: they run at once.
const doctorTime = 8 * time.Second

// diagnosis is what doctor prints.
type diagnosis struct {
	OK     bool             `json:"ok"` // no check failed
	Checks []doctor.Finding `json:"checks"`
}

func (a *app) doctorCommand() *cobra.Command {
	var accept []string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what would keep a worker from working here, and how to mend it",
		Long: "Looks at NATS, Redis, the agents and this host as a worker of this configuration would use them, and changes nothing.\n" +
			"Run it where the worker runs, as its user. It fails (exit code 1) when a check fails; a warning does not count. With\n" +
			"--accept a failure that you can live with counts as a warning.",
		Example: "  curfew doctor --config curfew.yaml\n  curfew doctor --accept cgroup -o json",
		Args:    args(0, 0),
	}
	cmd.Flags().StringSliceVar(&accept, "accept", nil, "`check` that may fail, as cgroup; may be given several times")
	out := outputFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range accept {
			if !slices.Contains(doctor.Names(), name) {
				return wrong(cmd, "--accept %s: no such check; there are %s", name, strings.Join(doctor.Names(), ", "))
			}
		}
		c, err := a.load(cmd, nil)
		if err != nil {
			return err
		}
		p, err := a.patient(c)
		if err != nil {
			return err
		}
		ctx, stop := a.interruptible(cmd.Context())
		defer stop()
		d := diagnosis{OK: true, Checks: doctor.Examine(ctx, p)}
		for i := range d.Checks {
			f := &d.Checks[i]
			if f.Verdict == doctor.Fail && slices.Contains(accept, f.Name) {
				f.Verdict = doctor.Warn
			}
			d.OK = d.OK && f.Verdict != doctor.Fail
		}
		if *out == formatJSON {
			err = printJSON(cmd.OutOrStdout(), d)
		} else {
			d.print(cmd)
		}
		if err == nil && !d.OK {
			return &endedError{exitFailed}
		}
		return err
	}
	return cmd
}

func (d diagnosis) print(cmd *cobra.Command) {
	width := 0
	for _, f := range d.Checks {
		width = max(width, len(f.Name))
	}
	for _, f := range d.Checks {
		verdict := string(f.Verdict)
		if f.Verdict == doctor.Fail {
			verdict = strings.ToUpper(verdict)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%-4s  %-*s  %s\n", verdict, width, f.Name, printable(f.Seen))
		if f.Mend != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "%*s-> %s\n", 4+2+width+2, "", printable(f.Mend))
		}
	}
}

// patient is the worker that this configuration describes.
func (a *app) patient(c config.Loaded) (doctor.Patient, error) {
	log := a.logger(c)
	data, runDir := c.Worker.Data, c.Worker.RunDir
	var err error
	if data == "" {
		if data, err = config.StateDir(a.getenv); err != nil {
			return doctor.Patient{}, err
		}
	}
	if data, err = filepath.Abs(data); err != nil {
		return doctor.Patient{}, fmt.Errorf("worker.data: %w", err)
	}
	if runDir == "" {
		runDir = config.RuntimeDir(a.getenv)
	}
	return doctor.Patient{
		Queue:    queueOptions(&c.Config, "curfew doctor", log),
		Redis:    registry.RedisOptions{URL: c.Redis.URL, Password: c.Redis.Password, Log: log},
		Records:  registry.RecordOptions{Replicas: c.NATS.Replicas, Domain: c.NATS.Domain},
		Terms:    c.Terms(),
		Agents:   c.RunAgents(),
		Folders:  map[string]string{"worker.data": data, "worker.run_dir": runDir},
		Cgroup:   probeCgroup,
		Now:      time.Now,
		Patience: doctorTime,
	}, nil
}

// probeCgroup looks whether runs can have cgroups here, and leaves none.
func probeCgroup() (string, error) {
	if !cgroupsAllowed() {
		return "", process.ErrNoCgroups
	}
	g, err := process.ProbeCgroups(process.CgroupOptions{Worker: "doctor"})
	if err != nil {
		return "", err
	}
	path := filepath.Dir(g.Path())
	return path, g.Close()
}
