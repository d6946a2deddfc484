package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// repeated lets the first job succeed twice under a fault.
func repeated(h *history, s span) {
	h.Entries[1].Code, h.Jobs[0].Repeat = 0, true
	if s.From.IsZero() {
		s.From = epoch
	}
	if s.To.IsZero() {
		s.To = s.From.Add(time.Second)
	}
	h.Faults = []span{s}
}

// lose takes the first job's final event away.
func lose(h *history, s span) {
	h.Events = append(h.Events[:2:2], h.Events[3:]...)
	h.Faults = []span{s}
}

// good is a small history with nothing wrong: two jobs of one session, the first of which needed two attempts.
func good() history {
	start := epoch
	a := &job{Session: "s", Name: "a", Seq: 1, At: epoch, Want: []string{"succeeded"}}
	b := &job{Session: "s", Name: "b", Seq: 2, Want: []string{"misconfigured"}}
	at := func(kind, name string, attempt int, fence uint64, pid, code, second int) entry {
		return entry{Kind: kind, Session: "s", Job: name, Attempt: attempt, Fence: fence, PID: pid, Code: code, At: start.Add(time.Duration(second) * time.Second)}
	}
	return history{
		Jobs: []*job{a, b},
		Entries: []entry{
			at(kindStart, "a", 1, 10, 100, 0, 0), at(kindEnd, "a", 1, 10, 100, 1, 1),
			at(kindStart, "a", 2, 12, 101, 0, 2), at(kindEnd, "a", 2, 12, 101, 0, 3),
			at(kindStart, "b", 1, 14, 102, 0, 4), at(kindEnd, "b", 1, 14, 102, 127, 5),
		},
		Events: []event{
			{Type: "started", Job: "a"},
			{Type: "retrying", Job: "a"},
			{Type: "finished", Final: true, Job: "a", Outcome: "succeeded"},
			{Type: "finished", Final: true, Job: "b", Outcome: "misconfigured"},
		},
		Letters: []letter{{Job: "b", Outcome: "misconfigured"}},
		Logs:    map[string]string{"w1": `{"msg":"worker ready"}`},
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(*history)
		want  string // rule that must complain; "" none
	}{
		{"good", func(*history) {}, ""},
		{"idle", func(h *history) { *h = history{} }, "something happened"},
		{"no final event at all", func(h *history) { h.Events = h.Events[:2] }, "something happened"},
		{"no run at all", func(h *history) { h.Entries = nil }, "something happened"},
		{"refused by the lock", func(h *history) {
			h.Entries = append(h.Entries, entry{Kind: kindOverlap, Session: "s", Job: "b"})
		}, "no two subprocesses"},
		{"confused witness", func(h *history) {
			h.Entries = append(h.Entries, entry{Kind: kindConfused, Session: "s", Job: "b"})
		}, "no two subprocesses"},
		{"ends after the next began", func(h *history) { h.Entries[3], h.Entries[4] = h.Entries[4], h.Entries[3] }, "no two subprocesses"},
		{"younger job first", func(h *history) { h.Jobs[0], h.Jobs[1] = h.Jobs[1], h.Jobs[0] }, "jobs of a session start"},
		{"unknown job ran", func(h *history) { h.Entries[4].Job, h.Entries[5].Job = "x", "x" }, "jobs of a session start"},
		{"fence stands still", func(h *history) { h.Entries[2].Fence, h.Entries[3].Fence = 10, 10 }, "fences rise"},
		{"fence falls", func(h *history) { h.Entries[4].Fence, h.Entries[5].Fence = 11, 11 }, "fences rise"},
		{"final missing", func(h *history) { h.Events = h.Events[:3] }, "one final event"},
		{"final twice", func(h *history) { h.Events = append(h.Events, h.Events[2]) }, "one final event"},
		{"final of an unknown job", func(h *history) {
			h.Events = append(h.Events, event{Final: true, Job: "x"})
		}, "one final event"},
		{"wrong outcome", func(h *history) { h.Events[2].Outcome = "terminated" }, "outcomes as expected"},
		{"two successes", func(h *history) { h.Entries[1].Code = 0 }, "one successful run"},
		{"two successes, allowed", func(h *history) { h.Entries[1].Code, h.Jobs[0].Repeat = 0, true }, ""},
		{"success without one", func(h *history) { h.Entries[3].Code = 1 }, "one successful run"},
		{"success by signal", func(h *history) { h.Entries[3].Signal = "KILL" }, "one successful run"},
		{"must not run", func(h *history) { h.Jobs[1].NoRun = true }, "what must not run"},
		{"other bytes", func(h *history) { h.Entries[3].SHA256 = "beef" }, "a subprocess reads"},
		{"same bytes", func(h *history) { h.Entries[3].SHA256 = h.Jobs[0].hash() }, ""},
		{"letter missing", func(h *history) { h.Letters = nil }, "a dead letter"},
		{"letter twice", func(h *history) { h.Letters = append(h.Letters, h.Letters[0]) }, "a dead letter"},
		{"letter of a success", func(h *history) { h.Letters = append(h.Letters, letter{Job: "a"}) }, "a dead letter"},
		{"letter of an unknown job", func(h *history) { h.Letters = append(h.Letters, letter{Job: "x"}) }, "a dead letter"},
		{"message left", func(h *history) { h.Rest.Messages = 1 }, "streams and leases"},
		{"delivery left", func(h *history) { h.Rest.AckPending = 1 }, "streams and leases"},
		{"delivery to come", func(h *history) { h.Rest.Pending = 1 }, "streams and leases"},
		{"lock left", func(h *history) { h.Rest.Locks = []string{"it:{s}:lock"} }, "streams and leases"},
		{"stream unreadable", func(h *history) { h.Rest.Wrong = []string{"no stream"} }, "streams and leases"},
		{"process left", func(h *history) { h.Alive = []string{"pid 7"} }, "nothing is left alive"},
		{"faults that need no excuse", func(h *history) { h.Faults = []span{} }, ""},
		{"run again after a success", func(h *history) { repeated(h, span{}) }, "a second run"},
		{"run again, excused", func(h *history) { repeated(h, span{excuse: excuse{Rerun: true}}) }, ""},
		{"run again, the fault came later", func(h *history) {
			repeated(h, span{From: epoch.Add(time.Minute), excuse: excuse{Rerun: true}})
		}, "a second run"},
		{"run again, the fault was over long before", func(h *history) {
			repeated(h, span{From: epoch.Add(-time.Hour), To: epoch.Add(-time.Minute), excuse: excuse{Rerun: true}})
		}, "a second run"},
		{"run again, killed", func(h *history) {
			repeated(h, span{})
			h.Entries = append(h.Entries[:1:1], h.Entries[2:]...)
		}, "a second run"},
		{"run again, the machine stood still", func(h *history) {
			repeated(h, span{})
			h.Stalls = []standstill{{epoch, epoch.Add(2 * time.Second)}}
		}, ""},
		{"lost", func(h *history) { lose(h, span{}) }, "one final event"},
		{"lost, excused", func(h *history) { lose(h, span{To: epoch, excuse: excuse{Lost: true}}) }, ""},
		{"lost, published later", func(h *history) {
			lose(h, span{To: epoch.Add(-time.Second), excuse: excuse{Lost: true}})
		}, "one final event"},
		{"other outcome, excused", func(h *history) {
			h.Events[2].Outcome, h.Faults = "cancelled", []span{{excuse: excuse{Ends: []string{"cancelled"}, Sessions: []string{"s"}}}}
		}, ""},
		{"other outcome, excused for another session", func(h *history) {
			h.Events[2].Outcome, h.Faults = "cancelled", []span{{excuse: excuse{Ends: []string{"cancelled"}, Sessions: []string{"t"}}}}
		}, "outcomes as expected"},
		{"race", func(h *history) { h.Logs["w2"] = "x\nWARNING: DATA RACE\ny" }, "no worker panicked"},
		{"panic", func(h *history) { h.Logs["w2"] = "panic: oh" }, "no worker panicked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := good()
			c.spoil(&h)
			got := judge(h)
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Contains(t, strings.Join(got, "\n"), c.want)
		})
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line    string
		attempt int
		applies bool
		wrong   bool
	}{
		{line: "sleep 10ms", attempt: 7, applies: true},
		{line: "@2 exit 1", attempt: 2, applies: true},
		{line: "@2 exit 1", attempt: 3},
		{line: "@2+ exit 1", attempt: 3, applies: true},
		{line: "@2+ exit 1", attempt: 1},
		{line: "@-2 exit 1", attempt: 2, applies: true},
		{line: "@-2 exit 1", attempt: 3},
		{line: "stderr several words", attempt: 1, applies: true},
		{line: "exit", wrong: true},
		{line: "exit one", wrong: true},
		{line: "sleep 10", wrong: true},
		{line: "dance", wrong: true},
		{line: "@x exit 1", wrong: true},
		{line: "term-exit 143", wrong: true},
	} {
		t.Run(c.line, func(t *testing.T) {
			t.Parallel()
			todo, err := parseScript(c.line)
			if c.wrong {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Len(t, todo, 1)
			require.Equal(t, c.applies, todo[0].applies(c.attempt))
		})
	}
}
