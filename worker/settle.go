package worker

import (
	"fmt"
	"syscall"
	"time"

	"curfew/worker/agent"
)

// Outcome is how a run ended.
type Outcome string

// The outcomes, as events and records name them.
const (
	Succeeded     Outcome = "succeeded"
	Terminated    Outcome = "terminated"
	Misconfigured Outcome = "misconfigured"
	Truncated     Outcome = "truncated"
	Crashed       Outcome = "crashed"
	Failed        Outcome = "failed"
	Expired       Outcome = "expired"
	Cancelled     Outcome = "cancelled"
	Stopped       Outcome = "stopped"
	Replaced      Outcome = "replaced"
	Rejected      Outcome = "rejected"
	Invalid       Outcome = "invalid"
	TimedOut      Outcome = "timed_out"
	Stalled       Outcome = "stalled"
	OverBudget    Outcome = "over_budget"
	HandedBack    Outcome = "handed_back"
	Lost          Outcome = "lost"
)

// Outcomes are all of them.
func Outcomes() []Outcome {
	return []Outcome{
		Succeeded, Terminated, Misconfigured, Truncated, Crashed, Failed, Expired, Cancelled, Stopped, Replaced,
		Rejected, Invalid, TimedOut, Stalled, OverBudget, HandedBack, Lost,
	}
}

// Final says that a job can end so. handed_back is one by `on_drain`: ack or dead.
func (o Outcome) Final() bool { return o != OverBudget && o != Lost }

// Fate is what becomes of a run's job.
type Fate int

// The fates. FateNothing sends and writes nothing: the next holder runs the job.
const (
	FateNothing  Fate = iota
	FateDone          // the job is over, acknowledged, without a dead letter
	FateBury          // the job is over and becomes a dead letter
	FateRetry         // the job stays, for a next attempt after a backoff
	FateHandBack      // the job stays, for another worker, at once
	FateKeep          // the job stays until an order makes it possible again
)

// OnDrain is what becomes of a job whose run a drain had to stop.
type OnDrain string

// The settings of on_drain.
const (
	DrainRequeue OnDrain = "requeue"
	DrainAck     OnDrain = "ack"
	DrainDead    OnDrain = "dead"
)

// Ending is everything that decides the settlement of a run.
type Ending struct {
	Intent Intent // the first one recorded for this run
	Reason string // what the order or limit behind the intent said
	// SpawnErr: the process could not be started. The zero value: it ran.
	Spawn SpawnEnd
	// Code is the exit code, -1 when a signal ended the process.
	Code   int
	Signal syscall.Signal
	// BeforeStop: the process ended by itself before a stop signal was sent.
	BeforeStop bool
	// Terminal: the agent says at its end whether it did well; Good: it did.
	// An agent without such an event does well by exiting with code 0.
	Terminal, Good bool
	// OutOfMemory says, where the kernel killed a process of the run for want of
	// memory, whose want it was; "" where it did not, or that is not known.
	OutOfMemory string
	// Rule is the agent's own word on this exit code; "" none.
	Rule agent.Action
	// Failures of this job so far, and how many are allowed.
	Failures, Attempts int
	OnDrain            OnDrain
}

// SpawnEnd says how a start failed.
type SpawnEnd int

// The ways in which a start fails.
const (
	SpawnedOK SpawnEnd = iota
	SpawnNoResources
	SpawnNoProgram
	SpawnFailed
)

// Settlement is the verdict on one run.
type Settlement struct {
	Outcome Outcome
	Fate    Fate
	Reason  string
	// Refund: the run never started, its begin does not count.
	Refund bool
	// Halted: the job is kept until the fleet is released, not for a time.
	Halted bool
}

// codeTerm is how a process that traps SIGTERM reports it: 128 + 15.
const codeTerm = 128 + int(syscall.SIGTERM)

// TermExit says that SIGTERM ended the process: by the signal, or by code 143.
func (e Ending) TermExit() bool {
	return e.Spawn == SpawnedOK && (e.Signal == syscall.SIGTERM || e.Code == codeTerm)
}

func (e Ending) goodResult() bool {
	return e.Spawn == SpawnedOK && e.Code == 0 && e.Signal == 0 && (!e.Terminal || e.Good)
}

// cutShort says that our stop signal went out before the end, and that the agent
// did not say for itself that it had finished all the same. An exit code of 0
// after a stop signal proves nothing: some agents always end with it.
func (e Ending) cutShort() bool {
	saidGood := e.Terminal && e.goodResult()
	return !e.BeforeStop && !saidGood
}

// row is a line of the table for runs that were asked to stop.
type row struct {
	outcome Outcome
	fate    Fate
	reason  string
}

// byIntent is the lower half of the table in doc.go: the intent decides,
// whatever the exit was.
//
//nolint:gochecknoglobals // the table itself
var byIntent = map[Intent]row{
	IntentExpired:   {Expired, FateBury, "the session's wall clock is over"},
	IntentCancelled: {Cancelled, FateDone, "the session was cancelled"},
	IntentStopped:   {Stopped, FateDone, "this run was stopped by order"},
	IntentReplaced:  {Replaced, FateDone, "a newer job replaced it"},
	IntentTimeout:   {TimedOut, FateBury, "the run took longer than its timeout"},
	IntentIdle:      {Stalled, FateRetry, "the agent was silent for too long"},
	IntentBudget:    {OverBudget, FateKeep, "the session's budget is used up"},
	IntentLost:      {Lost, FateNothing, "the lease was lost"},
	IntentHalted:    {HandedBack, FateKeep, "the fleet was halted"},
}

// byDrain is the row of a drain, which the operator chooses.
//
//nolint:gochecknoglobals // the table itself
var byDrain = map[OnDrain]Fate{
	DrainRequeue: FateHandBack,
	DrainAck:     FateDone,
	DrainDead:    FateBury,
}

// byRule is what an agent's own exit rule makes of a code.
//
//nolint:gochecknoglobals // the table itself
var byRule = map[agent.Action]row{
	agent.ActionSucceed: {Succeeded, FateDone, ""},
	agent.ActionDead:    {Failed, FateBury, "the agent's exit rule says that this code is final"},
	agent.ActionRetry:   {Crashed, FateRetry, "the agent's exit rule says to try again"},
	agent.ActionSuspend: {HandedBack, FateKeep, "the agent's exit rule says to suspend the agent"},
}

// Settle is the settlement table: from how and why a run ended to what becomes
// of its job. It is pure, and the only place that decides this.
func Settle(e Ending) Settlement {
	switch {
	case e.Intent == IntentLost: // loss vetoes everything
		return fromRow(e, byIntent[IntentLost])
	case e.Intent != IntentNone && e.BeforeStop && e.goodResult():
		// It was done before it could be asked: nothing is taken from it.
		return Settlement{Outcome: Succeeded, Fate: FateDone}
	case e.Intent == IntentDraining && e.cutShort():
		return Settlement{Outcome: HandedBack, Fate: byDrain[e.OnDrain], Reason: "the worker drained"}
	case e.Intent == IntentHalted && e.cutShort():
		s := fromRow(e, byIntent[IntentHalted])
		s.Halted = true
		return s
	case e.Intent == IntentDraining, e.Intent == IntentHalted, e.Intent == IntentNone:
		return unasked(e)
	default:
		if e.Terminal && e.goodResult() {
			return Settlement{Outcome: Succeeded, Fate: FateDone}
		}
		return limited(e, fromRow(e, byIntent[e.Intent]))
	}
}

// unasked is the upper half of the table: nobody asked this run to stop.
func unasked(e Ending) Settlement {
	switch {
	case e.Spawn == SpawnNoResources:
		return Settlement{Outcome: HandedBack, Fate: FateHandBack, Reason: "the host had no resources to start it", Refund: true}
	case e.Spawn == SpawnNoProgram:
		return Settlement{Outcome: Misconfigured, Fate: FateBury, Reason: "the agent's program could not be started"}
	case e.Spawn == SpawnFailed:
		return limited(e, Settlement{Outcome: Crashed, Fate: FateRetry, Reason: "the agent could not be started"})
	case e.TermExit():
		return Settlement{Outcome: Terminated, Fate: FateDone, Reason: "SIGTERM from outside ended the process"}
	case e.Rule != "":
		return limited(e, fromRow(e, byRule[e.Rule]))
	case e.Code == 126 || e.Code == 127:
		return Settlement{Outcome: Misconfigured, Fate: FateBury, Reason: fmt.Sprintf("exit code %d: the agent's command was not found or is not executable", e.Code)}
	case e.goodResult():
		return Settlement{Outcome: Succeeded, Fate: FateDone}
	case e.Code == 0 && e.Signal == 0:
		return limited(e, Settlement{Outcome: Truncated, Fate: FateRetry, Reason: "exit code 0 without the agent's own word that it succeeded"})
	default:
		return limited(e, Settlement{Outcome: Crashed, Fate: FateRetry, Reason: e.how()})
	}
}

// limited turns a retry that was the last allowed one into a burial.
func limited(e Ending, s Settlement) Settlement {
	if s.Fate == FateRetry && e.Failures+1 >= e.Attempts {
		s.Fate = FateBury
		s.Reason = fmt.Sprintf("%s; attempt %d of %d", s.Reason, e.Failures+1, e.Attempts)
	}
	return s
}

func fromRow(e Ending, r row) Settlement {
	s := Settlement{Outcome: r.outcome, Fate: r.fate, Reason: r.reason}
	if e.Reason != "" {
		s.Reason += ": " + e.Reason
	}
	return s
}

func (e Ending) how() string {
	how := fmt.Sprintf("exit code %d", e.Code)
	if e.Signal != 0 {
		how = "killed by " + signalName(e.Signal)
	}
	if e.OutOfMemory != "" {
		how += "; " + e.OutOfMemory
	}
	return how
}

// Backoff is the wait before the next attempt after the given number of
// failures (1 for the first): it doubles from base up to limit. jitter in
// [0,1) spreads it over ±20 %, so that what failed together does not come back
// together.
func Backoff(failures int, base, limit time.Duration, jitter float64) time.Duration {
	d := base
	for i := 1; i < failures && d < limit; i++ {
		d *= 2
	}
	d = min(d, limit)
	return time.Duration(float64(d) * (0.8 + 0.4*jitter))
}
