package main

import (
	"context"

	"curfew/queue"
)

func playReplace(ctx context.Context, d *demo) error {
	session := newSession()
	old, err := d.publish(ctx, session, "sleep 1m", nil)
	if err != nil {
		return err
	}
	if _, err := d.running(ctx, old); err != nil {
		return err
	}
	waits, err := d.publish(ctx, session, "sleep 1m", nil)
	if err != nil {
		return err
	}
	d.tell("one job runs, one waits, and one that replaces them arrives")
	newer, err := d.publish(ctx, session, "lines 1", func(j *queue.NewJob) { j.Conflict = queue.ConflictReplace })
	if err != nil {
		return err
	}
	outcomes := map[string]bool{}
	for _, job := range []published{old, waits} {
		e, err := d.final(ctx, job)
		if err != nil {
			return err
		}
		outcomes[e.Outcome] = true
	}
	e, err := d.final(ctx, newer)
	if err != nil {
		return err
	}
	all, err := d.seen(session)
	if err != nil {
		return err
	}
	d.check(len(outcomes) == 1 && outcomes["replaced"], "the live one and the waiting one ended as replaced")
	d.check(e.Outcome == "succeeded", "the new one succeeded")
	d.check(runs(all, waits) == 0, "the waiting one was never started")
	d.never(session)
	return nil
}

func playReject(ctx context.Context, d *demo) error {
	session := newSession()
	first, err := d.publish(ctx, session, "sleep 1s", nil)
	if err != nil {
		return err
	}
	if _, err := d.running(ctx, first); err != nil {
		return err
	}
	d.tell("one job runs, and one that does not want to wait arrives")
	refused, err := d.publish(ctx, session, "lines 1", func(j *queue.NewJob) { j.Conflict = queue.ConflictReject })
	if err != nil {
		return err
	}
	e, err := d.final(ctx, refused)
	if err != nil {
		return err
	}
	live, err := alive(d.witness, session)
	if err != nil {
		return err
	}
	d.check(e.Outcome == "rejected", "it was rejected (it says %s)", e.Outcome)
	d.check(live, "at once: the first one is still running")
	if e, err = d.final(ctx, first); err != nil {
		return err
	}
	d.check(e.Outcome == "succeeded", "the first one was left in peace and succeeded")
	return nil
}

func playStubborn(ctx context.Context, d *demo) error {
	session := newSession()
	old, err := d.publish(ctx, session, "ignore-term; sleep 1m", nil)
	if err != nil {
		return err
	}
	run, err := d.running(ctx, old)
	if err != nil {
		return err
	}
	d.tell("process %d ignores SIGTERM; its job is replaced; %s of grace", run.PID, demoGrace)
	newer, err := d.publish(ctx, session, "sleep 1s", func(j *queue.NewJob) { j.Conflict = queue.ConflictReplace })
	if err != nil {
		return err
	}
	if _, err := d.running(ctx, newer); err != nil {
		return err
	}
	d.check(gone(run.PID), "process %d was gone when the successor ran", run.PID)
	e, err := d.final(ctx, old)
	if err != nil {
		return err
	}
	d.check(e.Outcome == "replaced" && e.Exit != nil && e.Exit.Signal == "SIGKILL", "it had to be killed, and its job ended as replaced")
	if e, err = d.final(ctx, newer); err != nil {
		return err
	}
	d.check(e.Outcome == "succeeded", "the successor succeeded")
	d.never(session)
	return nil
}
