package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
	"curfew/worker/process"
	"curfew/worker/supervisor"
)

// termAttribution is the time in which an end by SIGTERM and a drain count as
// one event: systemd and Ctrl-C signal worker and subprocess at once.
const termAttribution = 500 * time.Millisecond

// liveRun is one started subprocess and what it printed.
type liveRun struct {
	id      string // the run's, on this host
	proc    *process.Process
	out     *output
	started time.Time
	temp    string // its TMPDIR
}

// runTask starts the subprocess, watches it to its end and settles the job.
func (a *adoption) runTask(ctx context.Context, t *task, heard *hearing) (ending, error) {
	run, err := a.start(ctx, t)
	a.w.opening.Add(-1)
	if err != nil {
		return a.notStarted(ctx, t, err)
	}
	reached(stepSpawn)
	log := a.log.WithField("seq", t.key.Seq).WithField("job", t.job.ID).WithField("fence", t.fence).
		WithField("attempt", t.key.Attempt).WithField("pid", run.proc.PID())
	log.Info("run started")
	if t.key.Attempt == 1 {
		a.w.observe.JobStarted(max(a.lease.Now().Sub(t.msg.Time), 0))
	}
	a.w.q.Emit(a.event("started", t))
	a.watch(ctx, t, run, heard)
	reached(stepExit)
	exit := run.proc.Exit()
	run.out.close(ctx)
	e := a.endingOf(ctx, t, run)
	log.WithField("exit", exit.String()).WithField("intent", string(e.Intent)).Info("run ended")
	if e.OutOfMemory != "" {
		log.WithField("oom", e.OutOfMemory).Warn("the kernel killed a process of this run for want of memory")
	}
	if exit.Leftovers > 0 {
		log.WithField("leftovers", exit.Leftovers).Warn("processes outlived their agent and were killed")
		a.w.observe.Leftovers(exit.Leftovers)
	}
	s := Settle(e)
	a.w.observe.RunEnded(t.agent.Name, s.Outcome, exit.At.Sub(run.started))
	if exit.Alive > 0 {
		a.w.observe.LeftoversRemain(exit.Alive)
		log.WithField("alive", exit.Alive).Error("processes of this run do not die: the lease is kept until they do")
		stuck := a.event("warning", t)
		stuck.Reason = fmt.Sprintf("%d processes of this run do not die: its session waits until they do", exit.Alive)
		a.w.q.Emit(stuck)
		if !untilClean(ctx, run.proc) { // its temporary folder is still used
			return endLost, nil // never released: it runs out by itself, and the record still shows the run open
		}
		a.w.observe.LeftoversRemain(-exit.Alive)
	}
	a.removeTemp(run.temp)
	a.unguard(run)
	return a.settle(ctx, t, s, run)
}

// untilClean waits until nothing of the run is left; a try takes two seconds at
// most. False when the lease is lost, or the worker ends, before.
func untilClean(ctx context.Context, p *process.Process) bool {
	for ctx.Err() == nil {
		if p.Collect() == 0 {
			return true
		}
	}
	return false
}

// marker is what only the processes of one run have in their environment.
func marker(c agent.Call) []string {
	return []string{
		process.WorkerVar + "=" + c.Worker,
		"CURFEW_SESSION=" + c.Session,
		"CURFEW_FENCE=" + strconv.FormatUint(c.Fence, 10),
	}
}

// start spawns the subprocess; a live predecessor of the session on this host
// has exited before.
func (a *adoption) start(ctx context.Context, t *task) (*liveRun, error) {
	dir, err := a.workdir(t.agent)
	if err != nil {
		return nil, err
	}
	temp, err := a.w.temps.forRun(t.agent.Limits.Credential)
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	rec := a.snap.Record
	call := agent.Call{
		Session: a.session, Job: t.job.ID, Attempt: t.key.Attempt, Fence: t.fence,
		Workdir: dir, TempDir: temp, Worker: a.w.cfg.ID, Deadline: rec.Curfew(), CreatedAt: rec.CreatedAt,
		Traceparent: t.job.Traceparent, Resume: rec.Succeeded,
	}
	argv := t.agent.Argv(call)
	run := &liveRun{temp: temp, out: newOutput(a, t), id: t.key.Token + "/" + strconv.FormatUint(t.fence, 10)}
	var unguarded error
	spec := process.Spec{
		Path: argv[0], Args: argv[1:], Env: t.agent.Environ(call, os.LookupEnv), Dir: dir,
		Stdin: t.job.Body, StopSignal: t.agent.StopSignal, Grace: t.agent.Grace, Sink: run.out,
		Marker: marker(call), RunDir: a.w.cfg.RunDir, Cgroups: a.w.cfg.Cgroups, Limits: t.agent.Limits,
		Hooks: process.Hooks{
			BeforeSpawn: func(cgroup string) error {
				if err := a.trusted(ctx); err != nil {
					return err
				}
				return a.w.cfg.Supervisor.OpenIn(run.id, int64(a.lease.Deadline()), cgroup)
			},
			Spawned: func(pid, pidfd int) { unguarded = a.w.cfg.Supervisor.Spawned(run.id, pid, pidfd) },
		},
	}
	_, err = a.w.table.Start(ctx, a.session, errLost, func(ctx context.Context) (registry.Entry, error) {
		proc, err := process.Start(ctx, spec)
		if err != nil {
			a.unguard(run)
			return registry.Entry{}, err
		}
		if unguarded != nil {
			a.log.WithError(unguarded).Error("a run that nothing would end is stopped")
			proc.Kill(because(IntentDraining, ""))
		}
		run.proc, run.started = proc, time.Now()
		return registry.Entry{
			ID: run.id, Session: a.session,
			PID: proc.PID(), Fence: t.fence, Started: run.started, Run: proc,
		}, nil
	})
	if err != nil {
		a.removeTemp(temp)
	}
	return run, err
}

func (a *adoption) removeTemp(dir string) {
	a.w.temps.remove(dir, func(err error) { a.log.WithError(err).Warn("the next worker on this host tries again") })
}

// guard moves the supervisor's deadline for the run to the lease's.
func (a *adoption) guard(run *liveRun) {
	if err := a.w.cfg.Supervisor.Renew(run.id, int64(a.lease.Deadline())); err != nil {
		a.log.WithError(err).Warn("the run will be killed when its lease would have ended without this renewal")
	}
}

// unguard tells the supervisor that a run is over, or never was.
func (a *adoption) unguard(run *liveRun) {
	if err := a.w.cfg.Supervisor.Close(run.id); err != nil && !errors.Is(err, supervisor.ErrGone) {
		a.log.WithError(err).Warn("the supervisor does not know that a run is over")
	}
}

// workdir is the folder that the agent runs in: its own setting, or one per session.
func (a *adoption) workdir(ag *agent.Agent) (string, error) {
	if ag.Workdir != "" {
		return ag.Workdir, nil
	}
	dir, err := workFolder(a.w.cfg.Data, a.session, ag.Limits.Credential)
	if err != nil {
		return "", fmt.Errorf("make the work folder: %w", err)
	}
	return dir, nil
}

// outOfMemory says whose want of memory killed a process of a run; "" nobody's.
func outOfMemory(o process.OOM, l process.Limits) string {
	switch o {
	case process.OOMOwn:
		return "out of memory: memory_max " + agent.FormatSize(l.MemoryMax)
	case process.OOMOther:
		return "the host, or a cgroup around the worker, was out of memory"
	case process.NoOOM:
	}
	return ""
}

// notStarted settles a job whose subprocess could not be started.
func (a *adoption) notStarted(ctx context.Context, t *task, err error) (ending, error) {
	if e := a.trusted(ctx); e != nil {
		return goOn, e
	}
	a.log.WithError(err).WithField("seq", t.key.Seq).Error("the agent could not be started")
	e := Ending{
		Spawn: SpawnFailed, Failures: a.snap.Failures, Attempts: a.w.cfg.Attempts, OnDrain: a.w.cfg.OnDrain,
	}
	if spawn, ok := errors.AsType[*process.SpawnError](err); ok {
		switch spawn.Kind {
		case process.SpawnMissing:
			e.Spawn = SpawnNoProgram
		case process.SpawnResources:
			e.Spawn = SpawnNoResources
		case process.SpawnRefused, process.SpawnOther:
		}
	} else if outOfSpace(err) { // the work folder could not be made: this host's trouble, not the job's
		e.Spawn = SpawnNoResources
	}
	s := Settle(e)
	s.Reason += ": " + err.Error()
	return a.settle(ctx, t, s, nil)
}

func outOfSpace(err error) bool {
	return slices.ContainsFunc([]error{unix.ENOSPC, unix.EDQUOT, unix.EMFILE, unix.ENFILE, unix.ENOMEM}, func(e error) bool {
		return errors.Is(err, e)
	})
}

// endingOf gathers what decides the settlement.
func (a *adoption) endingOf(ctx context.Context, t *task, run *liveRun) Ending {
	exit := run.proc.Exit()
	cause, _ := run.proc.Intent()
	intent, reason := intentOf(cause)
	_, signalled := run.proc.Signalled()
	verdict := run.out.verdict()
	e := Ending{
		Intent: intent, Reason: reason, BeforeStop: !signalled,
		Code: exit.Code, Signal: exit.Signal, Terminal: verdict.Terminal, Good: verdict.Good,
		Failures: a.snap.Failures, Attempts: a.w.cfg.Attempts, OnDrain: a.w.cfg.OnDrain,
		OutOfMemory: outOfMemory(exit.OOM, t.agent.Limits),
	}
	if rule, ok := t.agent.Rule(exit.Code); ok && exit.Signal == 0 {
		e.Rule = rule
	}
	if e.Intent == IntentNone && e.TermExit() && a.w.drainedAround(ctx, exit.At) {
		e.Intent, e.BeforeStop = IntentDraining, false
	}
	if e.Intent == IntentLost && a.trusted(ctx) == nil {
		// The run was stopped because the lease was about to end, and then it
		// was renewed after all: the job is still this worker's to hand back.
		e.Intent, e.BeforeStop = IntentDraining, false
		e.OnDrain = DrainRequeue
	}
	return e
}

// drainedAround says whether a drain of this worker began around t. An end by
// SIGTERM that nobody here asked for waits for the answer.
func (w *Worker) drainedAround(ctx context.Context, t time.Time) bool {
	wait := time.NewTimer(termAttribution - time.Since(t))
	defer wait.Stop()
	select {
	case <-w.draining:
	case <-wait.C:
	case <-ctx.Done():
	}
	began := w.drainAt.Load()
	return began != nil && t.Sub(*began).Abs() <= termAttribution
}

// event is an event about the task's run.
func (a *adoption) event(kind string, t *task) queue.Event {
	return queue.Event{
		Type: kind, Session: a.session, Seq: t.key.Seq, Job: t.job.ID, Agent: t.agent.Name,
		Attempt: t.key.Attempt, Fence: t.fence, Worker: a.w.cfg.ID, At: a.lease.Now(),
	}
}
