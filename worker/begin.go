package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
)

// unsettledLimit is how many runs of a job may end with the death of their
// worker: it may well be the job that kills it.
const unsettledLimit = 3

// task is one job with all that its run needs.
type task struct {
	msg   *queue.Message
	job   queue.Job
	agent *agent.Agent
	key   registry.RunKey
	fence uint64
}

// begun opens a run of the head and sees it through to its settlement.
func (a *adoption) begun(ctx context.Context, head *queue.Message, job queue.Job, heard *hearing) (ending, error) {
	rec := a.based(head, job)
	name := agentOf(rec, job)
	if rec.Agent != "" && name != rec.Agent {
		return a.finishWithout(ctx, rec, head, job, Invalid, true,
			fmt.Sprintf("the job names agent %q, but the session belongs to agent %q", name, rec.Agent))
	}
	ag, known := a.w.cfg.Agents[name]
	if !known {
		return a.unknownAgent(ctx, rec, head, job, name)
	}
	if rec.Begins.Seq == head.Seq && rec.Begins.Unsettled >= unsettledLimit {
		return a.finishWithout(ctx, rec, head, job, Crashed, true,
			fmt.Sprintf("its worker died %d times while running it", rec.Begins.Unsettled))
	}
	if err := a.superseding(); err != nil {
		return goOn, err
	}
	// The steps since the look may have waited long for a server.
	if now := a.lease.Now(); now.Sub(a.lookedAt) > time.Second && rec.Over(now) {
		return goOn, nil
	}
	opened := rec.Begin(registry.Opening{
		Token: a.token, Seq: head.Seq, Job: job.ID, Agent: name,
		Worker: a.w.cfg.ID, Host: a.w.cfg.Host, Started: a.lease.Now(),
	})
	key := opened.Run.RunKey
	a.lease.SetRunOpen(true) // before it may be open
	defer a.lease.SetRunOpen(false)
	if err := a.commit(ctx, opened); err != nil {
		own := errors.Is(err, errAgain) && a.snap.Run != nil && a.snap.Run.RunKey == key
		if !own {
			return goOn, err
		}
	}
	reached(stepOpen)
	t := &task{msg: head, job: job, agent: ag, key: key, fence: a.snap.Fence()}
	a.w.opening.Add(1) // before the brake is read, so that a roll call misses nothing
	if halt, err := a.mayStart(ctx); err != nil {
		a.w.opening.Add(-1)
		if !errors.Is(err, ErrHalted) {
			return goOn, err
		}
		return a.settle(ctx, t, haltedEarly(halt), nil)
	}
	return a.runTask(ctx, t, heard)
}

// unknownAgent leaves a job to a worker that may know its agent, during a
// rollout, and buries it when it has waited for long enough.
func (a *adoption) unknownAgent(ctx context.Context, rec registry.Record, head *queue.Message, job queue.Job, name string) (ending, error) {
	left := a.w.cfg.UnknownAgentWait - a.lease.Now().Sub(head.Time)
	if left <= 0 {
		return a.finishWithout(ctx, rec, head, job, Invalid, true,
			fmt.Sprintf("unknown agent %q: no worker has had it for %s", name, a.w.cfg.UnknownAgentWait))
	}
	a.log.WithField("seq", head.Seq).WithField("wait", left.Round(time.Second).String()).
		Warn(fmt.Sprintf("this worker has no agent %q, leaving the job to another one", name))
	return a.endIn(endElsewhere, min(left, a.w.cfg.BusyDelay)), nil
}
