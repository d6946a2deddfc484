package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHaltAndUnhalt(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	session := newSession()
	p.publish(t, session, "sleep 1m")
	p.runs(t, session)

	var h map[string]any
	p.good(t, &h, "halt", "--reason", "a \x1btest")
	require.Equal(t, true, h["halted"])
	require.Equal(t, true, h["changed"])
	require.EqualValues(t, 1, h["workers"])
	require.EqualValues(t, 1, h["stopped"])
	require.EqualValues(t, 0, h["live"])
	again := p.run(t, "halt")
	require.Equal(t, 0, again.code)
	require.Contains(t, again.out, "halted already")
	require.Contains(t, again.out, "a ?test", "the first one's reason")
	require.Equal(t, 1, p.run(t, "sweep").code, "the sweeper rests")
	p.until(t, session, func(row map[string]any) bool { return row["state"] == "idle" && row["waiting"] == 1.0 })

	var workers []map[string]any
	p.good(t, &workers, "workers", "ls")
	require.Len(t, workers, 1)
	require.Equal(t, "halted", workers[0]["state"])
	p.worker(t, "--worker-id", "late")
	p.good(t, &workers, "workers", "ls")
	require.Len(t, workers, 2)
	for _, w := range workers {
		require.Equal(t, "halted", w["state"])
		require.EqualValues(t, 0, w["live"])
	}

	p.good(t, &h, "unhalt")
	require.Equal(t, false, h["halted"])
	require.Contains(t, h, "woken", "0 where a worker was faster")
	p.runs(t, session)
	require.Contains(t, p.run(t, "unhalt").out, "was not halted")
	p.good(t, &workers, "workers", "ls")
	for _, key := range []string{"id", "host", "pid", "version", "started_at", "state", "reason", "live", "slots", "agents"} {
		require.Contains(t, workers[0], key)
	}
	require.Contains(t, p.run(t, "workers", "ls").out, "pulling")
}

func TestAFleetWithoutWorkersIsHaltedToo(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, demoAgents)
	require.Equal(t, 0, p.run(t, "setup").code)
	require.Equal(t, "[]\n", p.run(t, "workers", "ls", "-o", "json").out)
	require.Equal(t, 0, p.run(t, "workers", "ls").code)
	r := p.run(t, "halt")
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "0 workers answered")
	require.Equal(t, "[]\n", p.run(t, "sessions", "--all", "-o", "json").out, "the brake is no session")
	session := newSession()
	p.publish(t, session, "hello")
	p.worker(t)
	require.Equal(t, 0, p.run(t, "unhalt").code)
	p.until(t, session, func(row map[string]any) bool { return row["last_outcome"] == "succeeded" })
}
