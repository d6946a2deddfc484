package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"curfew/worker"
)

func TestWhatKeepsWorkersFromAJob(t *testing.T) {
	t.Parallel()
	pulling := worker.Presence{State: worker.StatePulling, Live: 1, Slots: 2, Agents: []string{"default"}}
	full := worker.Presence{State: worker.StatePulling, Live: 2, Slots: 2, Agents: []string{"default"}}
	other := worker.Presence{State: worker.StatePulling, Slots: 2, Agents: []string{"other"}}
	draining := worker.Presence{State: worker.StateDraining, Reason: "draining", Slots: 2, Agents: []string{"default"}}
	for want, roll := range map[string][]worker.Presence{
		"worker: none answers; start one with `curfew worker`":                          nil,
		"worker: none of the 1 that answered takes jobs (draining)":                     {draining},
		"agent: none of the 1 workers that take jobs has \"default\"":                   {other, draining},
		"slot: all 2 slots of 1 workers are taken":                                      {full, other},
		"delivery: 1 of 4 slots are free, a worker takes it as soon as it is delivered": {full, pulling, other},
	} {
		require.Equal(t, want, waitingForWorkers(roll, "default"))
	}
}

// What a job waits for is told by show, and by publish --wait when nothing is heard for a while.
func TestWhatAJobWaitsFor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, demoAgents)
	require.Equal(t, 0, p.run(t, "setup").code)
	alone, unknown, backing, busy := newSession(), newSession(), newSession(), newSession()
	waits := func(session string) any { return p.row(t, session)["waiting_for"] }

	publish := begin(t, "", p.environ, "publish", alone, "hello", "--wait")
	publish.says(t, "it waits for worker: none answers")
	require.Contains(t, waits(alone), "worker: none answers")
	require.Equal(t, 0, p.run(t, "halt", "--reason", "a drill").code)
	require.Contains(t, waits(alone), "halted: the whole fleet is, since ")
	require.Contains(t, waits(alone), "(a drill)")
	require.Contains(t, p.run(t, "show", alone).out, "waiting for")
	require.Equal(t, 0, p.run(t, "unhalt").code)

	p.environ = append(p.environ, "CURFEW_RETRY_BACKOFF=1h", "CURFEW_RETRY_MAX_BACKOFF=1h")
	p.worker(t)
	require.Equal(t, 0, publish.wait(t).code)
	require.Empty(t, waits(alone))
	p.publish(t, unknown, "hello", "--agent", "stranger")
	require.Equal(t, "agent: none of the 1 workers that take jobs has \"stranger\"", waits(unknown))
	p.publish(t, backing, "exit 4")
	p.until(t, backing, func(row map[string]any) bool { return row["state"] == "backoff" })
	require.Contains(t, waits(backing), "backoff: until 20")
	require.Contains(t, waits(backing), "after 1 failures")
	p.publish(t, busy, "sleep 5m")
	p.runs(t, busy)
	require.Empty(t, waits(busy), "the one that runs waits no more")
	p.publish(t, busy, "later")
	require.Contains(t, waits(busy), "session: its run of job "+busy)
}

func TestFollowingASessionThatNobodyKnows(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	session := newSession()
	follow := begin(t, "", p.environ, "logs", "-f", session)
	follow.says(t, "nobody knows session "+session)
	p.publish(t, session, "lines 1")
	follow.says(t, "working: 1 of 1")
	follow.signals <- sigint
	require.Equal(t, 0, follow.wait(t).code)
}
