package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker"
)

// waitingFor says in words what the session's first waiting job waits for; "" when none does. Its first word, before the
// colon, is for programs: halted, end, paused, session, backoff, worker, agent, slot or delivery.
func (f *fleet) waitingFor(ctx context.Context, s registry.Snapshot, waiting uint64, now time.Time) (string, error) {
	if waiting == 0 || s.Run != nil && waiting == 1 {
		return "", nil
	}
	halt, err := f.records.Halt(ctx)
	if err != nil {
		return "", err
	}
	recorded := s.Revision != 0
	switch {
	case halt.On:
		return fmt.Sprintf("halted: the whole fleet is, since %s%s; `curfew unhalt` ends it", when(halt.At), because(halt.Reason)), nil
	case recorded && s.Over(now):
		return fmt.Sprintf("end: the session is %s; its jobs become dead letters", s.State(now)), nil
	case s.Run != nil:
		return fmt.Sprintf("session: its run of job %s is live since %s; jobs of a session run one at a time", printable(s.Run.Job), when(s.Run.Started)), nil
	case s.Paused != nil:
		return fmt.Sprintf("paused: since %s (%s)", when(s.Paused.At), printable(s.Paused.Why)), nil
	case s.BackingOff(now):
		return fmt.Sprintf("backoff: until %s, after %d failures", when(s.NotBefore), s.Failures), nil
	}
	head, err := f.queue.Head(ctx, s.Session, 0)
	if errors.Is(err, queue.ErrNoMessage) {
		return "", nil // it was taken meanwhile
	}
	if err != nil {
		return "", fmt.Errorf("look for jobs of session %s: %w", s.Session, err)
	}
	roll, err := f.roll(ctx)
	if err != nil {
		return "", err
	}
	return waitingForWorkers(roll, agentOf(s, head)), nil
}

// because puts a reason in brackets, where there is one.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + printable(reason) + ")"
}

// agentOf is the agent that the session's first job asks for; "" where it cannot be told.
func agentOf(s registry.Snapshot, head *queue.Message) string {
	job, err := queue.ParseJob(head)
	switch {
	case err != nil:
		return ""
	case job.Agent != "":
		return job.Agent
	case s.Agent != "":
		return s.Agent
	default:
		return "default"
	}
}

// waitingForWorkers finds what keeps every worker that answered from taking a job of the agent.
func waitingForWorkers(roll []worker.Presence, agent string) string {
	if len(roll) == 0 {
		return "worker: none answers; start one with `curfew worker`"
	}
	pulling, knowing, live, slots := 0, 0, 0, 0
	var why string
	for _, p := range roll {
		if p.State != worker.StatePulling {
			why = p.Reason
			continue
		}
		pulling++
		if agent != "" && !slices.Contains(p.Agents, agent) {
			continue
		}
		knowing++
		live, slots = live+p.Live, slots+p.Slots
	}
	switch {
	case pulling == 0:
		return fmt.Sprintf("worker: none of the %d that answered takes jobs (%s)", len(roll), printable(why))
	case knowing == 0:
		return fmt.Sprintf("agent: none of the %d workers that take jobs has %q", pulling, agent)
	case live >= slots:
		return fmt.Sprintf("slot: all %d slots of %d workers are taken", slots, knowing)
	default:
		return fmt.Sprintf("delivery: %d of %d slots are free, a worker takes it as soon as it is delivered", slots-live, slots)
	}
}
