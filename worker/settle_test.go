package worker

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/worker/agent"
	"curfew/worker/process"
)

// TestSettleIsTheDocumentedTable holds Settle to the table in doc.go, row by row.
func TestSettleIsTheDocumentedTable(t *testing.T) {
	t.Parallel()
	rows := documentedRows(t)
	require.Greater(t, len(rows), 30, "the table in doc.go was not found")
	fates := map[string]Fate{
		"ack": FateDone, "bury": FateBury, "retry": FateRetry, "requeue": FateHandBack, "keep": FateKeep, "nothing": FateNothing,
	}
	seen := map[Intent]bool{}
	for _, r := range rows {
		intent := Intent(strings.TrimSpace(r[0]))
		if intent == "none" {
			intent = IntentNone
		}
		seen[intent] = true
		for _, e := range exitsOf(t, r[1]) {
			e.Intent = intent
			if e.OnDrain == "" {
				e.OnDrain = DrainRequeue
			}
			s := Settle(e)
			require.Equal(t, Outcome(r[2]), s.Outcome, "row %v, exit %+v", r, e)
			require.Equal(t, fates[r[3]], s.Fate, "row %v, exit %+v", r, e)
			require.Equal(t, r[1] == "no resources", s.Refund, "row %v", r)
		}
	}
	for intent := range byIntent {
		require.True(t, seen[intent], "intent %q has no row in doc.go", intent)
	}
}

func documentedRows(t *testing.T) (rows [][4]string) {
	t.Helper()
	f, err := os.Open("doc.go")
	require.NoError(t, err)
	defer f.Close()
	s := bufio.NewScanner(f)
	for in := false; s.Scan(); {
		cells := strings.Split(strings.TrimPrefix(s.Text(), "//"), "|")
		switch {
		case strings.HasPrefix(s.Text(), "//\t-----------+"):
			in = true
		case in && len(cells) == 4:
			rows = append(rows, [4]string{
				strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3]),
			})
		case in:
			return rows
		}
	}
	require.NoError(t, s.Err())
	return rows
}

// exitsOf are the ends that a cell of the column exit speaks of.
func exitsOf(t *testing.T, cell string) []Ending {
	t.Helper()
	base := Ending{Attempts: 5}
	words := strings.Split(cell, ", ")
	for _, w := range words[1:] {
		switch w {
		case "last attempt":
			base.Failures = 4
		case "before stop":
			base.BeforeStop = true
		case "on_drain ack":
			base.OnDrain = DrainAck
		case "on_drain dead":
			base.OnDrain = DrainDead
		case "no terminal":
			base.Terminal = true
		default:
			t.Fatalf("unknown condition %q", w)
		}
	}
	with := func(f func(*Ending)) Ending { e := base; f(&e); return e }
	code := func(c int) Ending { return with(func(e *Ending) { e.Code = c }) }
	signal := func(s syscall.Signal) Ending { return with(func(e *Ending) { e.Code, e.Signal = -1, s }) }
	switch words[0] {
	case "good":
		return []Ending{code(0), with(func(e *Ending) { e.Terminal, e.Good = true, true })}
	case "good terminal":
		return []Ending{with(func(e *Ending) { e.Terminal, e.Good = true, true })}
	case "TERM":
		return []Ending{code(143), signal(syscall.SIGTERM), with(func(e *Ending) { e.Code, e.Terminal = 143, true })}
	case "any":
		return []Ending{code(0), code(1), code(143), code(137), signal(syscall.SIGTERM), signal(syscall.SIGKILL), with(func(e *Ending) { e.Code, e.Rule = 42, agent.ActionSucceed })}
	case "SIGKILL":
		return []Ending{signal(syscall.SIGKILL)}
	case "SIGSEGV":
		return []Ending{signal(syscall.SIGSEGV)}
	case "no resources":
		return []Ending{with(func(e *Ending) { e.Spawn = SpawnNoResources })}
	case "no program":
		return []Ending{with(func(e *Ending) { e.Spawn = SpawnNoProgram })}
	case "not started":
		return []Ending{with(func(e *Ending) { e.Spawn = SpawnFailed })}
	}
	if action, ok := strings.CutPrefix(words[0], "rule "); ok {
		return []Ending{with(func(e *Ending) { e.Code, e.Rule = 42, agent.Action(action) })}
	}
	n, err := strconv.Atoi(words[0])
	require.NoError(t, err, "exit %q", words[0])
	return []Ending{code(n)}
}

func TestAReasonSaysWhoseMemoryEnded(t *testing.T) {
	t.Parallel()
	limits := process.Limits{MemoryMax: 4 << 30}
	own := Ending{Code: -1, Signal: syscall.SIGKILL, Attempts: 5, OutOfMemory: outOfMemory(process.OOMOwn, limits)}
	require.Equal(t, "killed by SIGKILL; out of memory: memory_max 4GiB", Settle(own).Reason)
	tool := Ending{Code: 1, Attempts: 5, OutOfMemory: outOfMemory(process.OOMOther, limits)}
	require.Equal(t, "exit code 1; the host, or a cgroup around the worker, was out of memory", Settle(tool).Reason)
	require.Equal(t, Succeeded, Settle(Ending{OutOfMemory: outOfMemory(process.OOMOwn, limits)}).Outcome, "only a tool of it was killed")
	require.Empty(t, outOfMemory(process.NoOOM, limits))
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	t.Parallel()
	for i, seconds := range []float64{1, 2, 4, 8, 10, 10} {
		require.InDelta(t, 0.8*seconds, Backoff(i+1, time.Second, 10*time.Second, 0).Seconds(), 1e-6)
		require.InDelta(t, 1.2*seconds, Backoff(i+1, time.Second, 10*time.Second, 0.999999).Seconds(), 1e-3)
	}
	require.LessOrEqual(t, Backoff(1_000_000, time.Second, 5*time.Minute, 0.999), 6*time.Minute)
}
