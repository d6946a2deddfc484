package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"curfew/worker/agent"
)

func checkAgents(_ context.Context, v *visit) (Finding, error) {
	names := slices.Sorted(maps.Keys(v.Agents))
	if len(names) == 0 {
		return Finding{Verdict: Fail, Seen: "no agent is configured: a worker would have nothing to run", Mend: "name one under agents: in curfew.yaml (`curfew config example`)"}, nil
	}
	var missing []error
	for _, name := range names {
		if err := v.Agents[name].Resolve(); err != nil {
			missing = append(missing, err)
		}
	}
	if len(missing) > 0 {
		f := Finding{Verdict: Fail, Seen: strings.ReplaceAll(errors.Join(missing...).Error(), "\n", "; "), Mend: "correct what it says of the agent in curfew.yaml"}
		for _, err := range missing {
			if m, ok := errors.AsType[*agent.MissingError](err); ok {
				f.Mend = fmt.Sprintf("install %s on this host, or write where it is into agents.%s in curfew.yaml", m.Program, m.Agent)
				break
			}
		}
		return f, nil
	}
	return Finding{Seen: "found the programs of " + strings.Join(names, ", ")}, nil
}

func checkFolders(_ context.Context, v *visit) (Finding, error) {
	var bad []error
	for _, key := range slices.Sorted(maps.Keys(v.Folders)) {
		if err := writable(v.Folders[key]); err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", key, err))
		}
	}
	if len(bad) > 0 {
		return Finding{Mend: "give the folder to the worker's user, or configure another one"}, errors.Join(bad...)
	}
	return Finding{Seen: "worker.data and worker.run_dir can be written"}, nil
}

// writable makes the folder, as a worker does, and a file in it for a moment.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func checkCgroup(_ context.Context, v *visit) (Finding, error) {
	path, err := v.Cgroup()
	if err != nil {
		return Finding{
			Verdict: Fail,
			Seen:    fmt.Sprintf("%v: a tool that sheds its run's marks can outlive its run (not its worker)", err),
			Mend:    "systemd: Delegate=yes in the unit; a container: cgroup v2, writable (--cgroupns=private and a writable /sys/fs/cgroup); or go on without: --accept cgroup",
		}, nil
	}
	return Finding{Seen: "each run gets a cgroup of its own, below " + path}, nil
}
