package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/sirupsen/logrus"

	"curfew/worker"
	"curfew/worker/agent"
	"curfew/worker/process"
)

// host is what a worker has of the machine it runs on: its lock, by which the next one knows that it is dead, and the
// cgroup below which each run gets its own.
type host struct {
	lock    *process.HostLock
	cgroups *process.Cgroups
	log     *logrus.Entry
}

// claimHost takes the worker's lock, ends what dead workers left on this machine, and looks for a cgroup. Only a worker of
// the same id that is alive is an error: everything else costs a guard, and is said.
func claimHost(ctx context.Context, wc *worker.Config, log *logrus.Entry) (*host, error) {
	h := &host{log: log}
	lock, err := process.AcquireHostLock(ctx, wc.RunDir, wc.ID)
	if errors.Is(err, process.ErrHostLockHeld) {
		return nil, fmt.Errorf("worker.id %s: %w", wc.ID, err)
	}
	if err != nil {
		log.WithError(err).Warn("what dead workers left on this host is not looked for, and this worker's own would not be found")
	} else {
		h.lock, wc.RunDir = lock, lock.Dir()
		h.sweep(ctx, wc.Observer)
	}
	why := h.divide(cgroupOptions(wc))
	wc.Cgroups = h.cgroups
	if err := limitable(wc, why); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// divide looks for a cgroup v2 below which each run gets its own, and answers why there is none.
func (h *host) divide(o process.CgroupOptions) error {
	err := process.ErrNoCgroups
	if cgroupsAllowed() {
		h.cgroups, err = process.ProbeCgroups(o)
	}
	if err != nil {
		h.log.WithError(err).Info("no cgroup for each run: what a run leaves behind is found by its marks")
		return err
	}
	h.log.WithField("cgroup", h.cgroups.Path()).Info("each run gets a cgroup of its own")
	if h.lock != nil {
		if err := h.lock.Record(h.cgroups.Path()); err != nil {
			h.log.WithError(err).Warn("the next worker would not find this one's cgroup")
		}
	}
	return nil
}

// cgroupOptions asks for controllers only where an agent needs them: they make this process move to another cgroup.
func cgroupOptions(wc *worker.Config) process.CgroupOptions {
	o := process.CgroupOptions{Worker: wc.ID}
	for _, a := range wc.Agents {
		o.Limits = o.Limits || a.NeedsControllers()
	}
	if wc.Supervisor != nil {
		o.Along = []int{os.Getppid()}
	}
	return o
}

// limitable refuses limits that somebody counts on and this host cannot keep, for want of rights, of any cgroup, or of a controller.
func limitable(wc *worker.Config, noCgroups error) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(wc.Agents)) {
		if err := wc.Agents[name].Limits.Settable(); err != nil {
			errs = append(errs, &agent.LimitError{Agent: name, Err: err})
		}
		if err := wc.Cgroups.Check(wc.Agents[name].Limits); err != nil {
			if l, ok := errors.AsType[*process.LimitError](err); ok && noCgroups != nil {
				l.Cause = noCgroups
			}
			errs = append(errs, &agent.LimitError{Agent: name, Err: err})
		}
	}
	return errors.Join(errs...)
}

func (h *host) sweep(ctx context.Context, observe worker.Observer) {
	report, err := process.SweepLeftovers(ctx, h.lock)
	if err != nil {
		h.log.WithError(err).Warn("looking for what dead workers left on this host failed")
	}
	observe.Leftovers(report.Killed)
	if report != (process.SweepReport{}) {
		h.log.WithField("dead_workers", report.Dead).WithField("killed", report.Killed).WithField("alive", report.Alive).
			Info("swept what dead workers left on this host")
	}
}

// close gives the host back; the worker has to be drained before.
func (h *host) close() {
	if h == nil {
		return
	}
	if err := h.cgroups.Close(); err != nil {
		h.log.WithError(err).Warn("something is left in this worker's cgroup")
	}
	if err := h.lock.Close(); err != nil {
		h.log.WithError(err).Debug("giving the host lock back")
	}
}
