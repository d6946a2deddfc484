package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"curfew/registry"
)

// SweepReport is what a round of the sweeper did, or would do.
type SweepReport struct {
	Expired    uint64 `json:"expired"`     // sessions that were ended
	PurgedJobs uint64 `json:"purged_jobs"` // their waiting jobs, now dead letters
	Stopped    uint64 `json:"stopped"`     // live runs whose holder was told
	// Roused are jobs that the stream would have delivered to nobody any more, and that are told of again.
	Roused uint64 `json:"roused,omitempty"`
}

// Sweep ends the sessions whose wall clock is over and that nobody holds:
// those with a record, and those whose jobs have waited in the stream for
// longer than any session may live. A live holder is nudged instead. With
// dryRun it only counts. The renewal loop of the leases must be running, as it
// is in Run. Safe beside other sweepers: each session is adopted first.
// ErrHalted while the fleet is halted.
func (w *Worker) Sweep(ctx context.Context, dryRun bool) (SweepReport, error) {
	switch h, err := w.lookAtBrake(ctx); {
	case err != nil:
		return SweepReport{}, err
	case h.On && !dryRun:
		return SweepReport{}, ErrHalted
	}
	s := w.newSweeper()
	if dryRun {
		return s.dryRun(ctx)
	}
	minding, stop := context.WithCancel(ctx)
	minded := make(chan struct{})
	go func() { defer close(minded); w.mindBrake(minding, nil) }()
	defer func() { stop(); <-minded }()
	looking, end := w.brake.whileReleased(ctx)
	defer end()
	report, err := s.round(looking, ctx)
	if ctx.Err() == nil && looking.Err() != nil {
		err = ErrHalted
	}
	return report, err
}

// sweepRounds runs the sweeper, in one worker of the fleet at a time, until ctx
// ends. Whoever has that duty keeps it, and with it what its sweeper knows.
func (w *Worker) sweepRounds(ctx context.Context) {
	if w.cfg.SweepEvery == 0 {
		return
	}
	tick := time.NewTicker(w.cfg.SweepEvery)
	defer tick.Stop()
	var duty *registry.Duty
	defer func() {
		if duty != nil {
			duty.Release(context.WithoutCancel(ctx))
		}
	}()
	s := w.newSweeper()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.draining:
			return
		case <-tick.C:
		}
		if w.brake.isOn() {
			continue // while the fleet is halted, its sweeper rests
		}
		mine, err := w.sweepDuty(ctx, &duty)
		switch {
		case err != nil:
			if ctx.Err() == nil {
				w.log.WithError(err).Warn("the sweeper could not ask whose turn it is")
			}
			continue
		case !mine:
			s = w.newSweeper() // what it knew grows old while another one sweeps
			continue
		}
		report, err := w.sweepRound(ctx, s, duty)
		if err != nil && ctx.Err() == nil {
			w.log.WithError(err).Warn("a round of the sweeper ended early; the next one goes on")
		}
		if report != (SweepReport{}) {
			w.log.WithField("expired", report.Expired).WithField("purged_jobs", report.PurgedJobs).WithField("stopped", report.Stopped).WithField("roused", report.Roused).Info("swept")
		}
	}
}

// sweepDuty renews the duty, or takes it where it is free.
func (w *Worker) sweepDuty(ctx context.Context, duty **registry.Duty) (mine bool, err error) {
	if *duty != nil {
		if mine, err := (*duty).Renew(ctx); mine || err != nil {
			return mine, err
		}
		*duty = nil
	}
	*duty, err = w.leases.TakeDuty(ctx, "sweeper", w.sweepTerm())
	return *duty != nil, err
}

// sweepTerm is how long the sweeper's duty outlasts a sweeper that died.
func (w *Worker) sweepTerm() time.Duration { return max(2*w.cfg.SweepEvery, w.cfg.Lease.TTL) }

var (
	errNotMine = errors.New("another worker sweeps by now")
	errResting = errors.New("the worker drains, or the fleet is halted")
)

// sweepRound is one round, with the duty renewed for as long as it takes. A drain,
// a halt or the loss of the duty ends the round: what is being ended is finished.
func (w *Worker) sweepRound(ctx context.Context, s *sweeper, duty *registry.Duty) (SweepReport, error) {
	looking, stop := context.WithCancelCause(ctx)
	renewed, halted := make(chan struct{}), w.brake.halted()
	go func() {
		defer close(renewed)
		every := time.NewTicker(w.sweepTerm() / 4)
		defer every.Stop()
		for {
			select {
			case <-looking.Done():
				return
			case <-w.draining:
				stop(errResting)
				return
			case <-halted:
				stop(errResting)
				return
			case <-every.C:
			}
			if mine, err := duty.Renew(looking); err == nil && !mine {
				stop(errNotMine)
			}
		}
	}()
	report, err := s.round(looking, ctx)
	cause := context.Cause(looking)
	stop(nil)
	<-renewed
	if cause != nil {
		err = fmt.Errorf("sweep: %w", cause)
	}
	if errors.Is(err, errResting) {
		err = nil
	}
	return report, err
}
