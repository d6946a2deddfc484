package agent

import (
	"bytes"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"curfew/worker/process"
)

const session = "0b7c4f57-6a0e-4f0e-9a39-0c1f5b2f9a11"

func call() Call {
	return Call{
		Session: session, Job: "job-1", Attempt: 2, Fence: 77, Workdir: "/w/" + session, Worker: "host-1",
		Deadline:    time.Date(2026, 1, 2, 7, 4, 5, 6e6, time.FixedZone("", 3600)),
		CreatedAt:   time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC),
		Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
}

func TestArgv(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		agent  Agent
		resume bool
		want   []string
	}{
		"command": {
			agent: Agent{Command: []string{"x", "--session", "{session}", "{job}/{attempt}/{fence}", "{workdir}"}},
			want:  []string{"x", "--session", session, "job-1/2/77", "/w/" + session},
		},
		"command, resumed": {agent: Agent{Command: []string{"x", "a"}}, resume: true, want: []string{"x", "a"}},
		"first":            {agent: Agent{First: []string{"x", "new"}, Resume: []string{"x", "old"}}, want: []string{"x", "new"}},
		"resume":           {agent: Agent{First: []string{"x", "new"}, Resume: []string{"x", "old"}}, resume: true, want: []string{"x", "old"}},
		"no shell":         {agent: Agent{Command: []string{"x", "$HOME; {session}", `{"a":1}`, "{unknown}", "{SESSION}"}}, want: []string{"x", "$HOME; " + session, `{"a":1}`, "{unknown}", "{SESSION}"}},
		"none":             {agent: Agent{}, want: nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := call()
			call.Resume = c.resume
			require.Equal(t, c.want, c.agent.Argv(call))
		})
	}
	t.Run("what comes in is not replaced again", func(t *testing.T) {
		t.Parallel()
		c := call()
		c.Job = "{workdir}"
		a := Agent{Command: []string{"x", "{job}"}}
		require.Equal(t, []string{"x", "{workdir}"}, a.Argv(c))
	})
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	worker := map[string]string{
		"PATH": "/bin", "LANG": "de", "EMPTY": "", "SECRET": "s", "CURFEW_NATS_PASSWORD": "s", "TRACEPARENT": "the worker's",
	}
	lookup := func(name string) (string, bool) { v, ok := worker[name]; return v, ok }
	own := []string{
		"CURFEW_ATTEMPT=2", "CURFEW_CREATED_AT=2026-01-02T02:04:05.000Z", "CURFEW_DEADLINE=2026-01-02T06:04:05.006Z", "CURFEW_FENCE=77",
		"CURFEW_JOB=job-1", "CURFEW_SESSION=" + session, "CURFEW_WORKER=host-1",
	}
	trace := "TRACEPARENT=" + call().Traceparent
	for name, c := range map[string]struct {
		agent  Agent
		change func(*Call)
		want   []string // beside own
		lacks  []string // of own
	}{
		"nothing configured": {want: []string{trace}},
		"pass and set": {
			agent: Agent{EnvPass: []string{"PATH", "LANG", "EMPTY", "NOT_THERE"}, EnvSet: map[string]string{"LANG": "C.UTF-8", "A": "b=c"}},
			want:  []string{trace, "PATH=/bin", "LANG=C.UTF-8", "EMPTY=", "A=b=c"},
		},
		"ours cannot be taken": {
			agent: Agent{EnvPass: []string{"CURFEW_NATS_PASSWORD", "TRACEPARENT"}, EnvSet: map[string]string{"CURFEW_SESSION": "x", "CURFEW_X": "y"}},
			want:  []string{trace},
		},
		"no trace":           {change: func(c *Call) { c.Traceparent = "" }},
		"trace with NUL":     {change: func(c *Call) { c.Traceparent = "a\x00b" }},
		"trace with newline": {change: func(c *Call) { c.Traceparent = "a\nb" }},
		"endless trace":      {change: func(c *Call) { c.Traceparent = strings.Repeat("a", traceparentMax+1) }},
		"no deadline": {
			change: func(c *Call) { c.Deadline = time.Time{} },
			want:   []string{trace}, lacks: []string{"CURFEW_DEADLINE"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := call()
			if c.change != nil {
				c.change(&call)
			}
			want := append([]string{}, c.want...)
			for _, v := range own {
				name, _, _ := strings.Cut(v, "=")
				if len(c.lacks) == 0 || c.lacks[0] != name {
					want = append(want, v)
				}
			}
			require.ElementsMatch(t, want, c.agent.Environ(call, lookup))
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := func() Agent {
		return Agent{
			Name: "default", Command: []string{"x", "{session}"}, Events: "plain", EnvPass: []string{"PATH"}, EnvSet: map[string]string{"LANG": "C"},
			StopSignal: syscall.SIGINT, Grace: time.Second, Workdir: "/w",
			Exits: []ExitRule{{42, ActionDead}, {1, ActionRetry}, {75, ActionSuspend}, {255, ActionSucceed}},
		}
	}
	a := good()
	require.NoError(t, a.Validate())
	require.NoError(t, (&Agent{Name: "a", First: []string{"x"}, Resume: []string{"y"}}).Validate())

	for name, c := range map[string]struct {
		change func(*Agent)
		says   string
	}{
		"no name":                {func(a *Agent) { a.Name = "" }, `"" is no name`},
		"odd name":               {func(a *Agent) { a.Name = "a b" }, "is no name"},
		"no command":             {func(a *Agent) { a.Command = nil }, "agents.default.command: is missing"},
		"both kinds":             {func(a *Agent) { a.First = []string{"x"} }, "agents.default.command: stands beside"},
		"first alone":            {func(a *Agent) { a.Command, a.First = nil, []string{"x"} }, "agents.default.resume: is missing"},
		"resume alone":           {func(a *Agent) { a.Command, a.Resume = nil, []string{"x"} }, "agents.default.first: is missing"},
		"empty program":          {func(a *Agent) { a.Command = []string{""} }, "no name"},
		"placeholder in program": {func(a *Agent) { a.Command = []string{"/x/{session}"} }, "placeholder"},
		"NUL in argument":        {func(a *Agent) { a.Command = []string{"x", "\x00"} }, "NUL"},
		"unknown events":         {func(a *Agent) { a.Events = "claude" }, `"claude" is not known: this version reads plain`},
		"143":                    {func(a *Agent) { a.Exits = []ExitRule{{143, ActionRetry}} }, "143 cannot be named"},
		"0":                      {func(a *Agent) { a.Exits = []ExitRule{{0, ActionDead}} }, "0 cannot be named"},
		"256":                    {func(a *Agent) { a.Exits = []ExitRule{{256, ActionDead}} }, "256 cannot be named"},
		"twice":                  {func(a *Agent) { a.Exits = []ExitRule{{1, ActionDead}, {1, ActionRetry}} }, "1 is named twice"},
		"no such action":         {func(a *Agent) { a.Exits = []ExitRule{{1, "die"}} }, `"die" is no action`},
		"passing ours":           {func(a *Agent) { a.EnvPass = []string{"CURFEW_NATS_URL"} }, "agents.default.env.pass"},
		"setting ours":           {func(a *Agent) { a.EnvSet = map[string]string{"CURFEW_JOB": "x"} }, "agents.default.env.set"},
		"no variable":            {func(a *Agent) { a.EnvPass = []string{"A=B"} }, "no name of a variable"},
		"NUL in value":           {func(a *Agent) { a.EnvSet = map[string]string{"A": "\x00"} }, "NUL"},
		"relative workdir":       {func(a *Agent) { a.Workdir = "w" }, "agents.default.workdir"},
		"SIGSTOP":                {func(a *Agent) { a.StopSignal = syscall.SIGSTOP }, "agents.default.stop_signal"},
		"negative grace":         {func(a *Agent) { a.Grace = -1 }, "agents.default.grace"},
		"negative timeout":       {func(a *Agent) { a.Timeout = -1 }, "agents.default.timeout"},
		"negative idle":          {func(a *Agent) { a.IdleTimeout = -1 }, "agents.default.idle_timeout"},
		"negative first output":  {func(a *Agent) { a.FirstOutputTimeout = -1 }, "agents.default.first_output_timeout"},
		"negative age":           {func(a *Agent) { a.MaxAge = -1 }, "agents.default.max_age"},
		"misspelt placeholder":   {func(a *Agent) { a.Command = []string{"x", "--id={sesion}"} }, "{sesion}"},
		"budget":                 {func(a *Agent) { a.BudgetUSD = 1 }, "not enforced"},
		"negative budget":        {func(a *Agent) { a.BudgetUSD = -1 }, "agents.default.budget_usd"},
		"no number":              {func(a *Agent) { a.BudgetUSD = math.NaN() }, "agents.default.budget_usd"},
		"endless budget":         {func(a *Agent) { a.BudgetUSD = math.Inf(1) }, "agents.default.budget_usd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := good()
			c.change(&a)
			require.ErrorContains(t, a.Validate(), c.says)
		})
	}
	t.Run("all of it at once", func(t *testing.T) {
		t.Parallel()
		err := (&Agent{Name: "a", Grace: -1, Events: "x"}).Validate()
		for _, key := range []string{"agents.a.command", "agents.a.grace", "agents.a.events"} {
			require.ErrorContains(t, err, key)
		}
	})
}

func TestRule(t *testing.T) {
	t.Parallel()
	a := Agent{Exits: []ExitRule{{42, ActionDead}, {75, ActionSuspend}}}
	action, ok := a.Rule(75)
	require.True(t, ok)
	require.Equal(t, ActionSuspend, action)
	_, ok = a.Rule(143)
	require.False(t, ok)
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "my-agent"), []byte("#!/bin/sh\n"), 0o700)) //nolint:gosec // it is a program
	t.Setenv("PATH", dir)
	t.Chdir(dir)
	here, err := os.Getwd()
	require.NoError(t, err)

	a := Agent{Name: "a", First: []string{"my-agent", "1"}, Resume: []string{"./my-agent", "2"}}
	require.Equal(t, []string{"my-agent", "1"}, a.Argv(Call{}), "not resolved yet")
	require.NoError(t, a.Resolve())
	require.Equal(t, []string{filepath.Join(dir, "my-agent"), "1"}, a.Argv(Call{}))
	require.Equal(t, []string{filepath.Join(here, "my-agent"), "2"}, a.Argv(Call{Resume: true}))

	b := Agent{Name: "b", First: []string{"my-agent"}, Resume: []string{"none-such"}}
	err = b.Resolve()
	var missing *MissingError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, "none-such", missing.Program)
	require.ErrorIs(t, err, exec.ErrNotFound)
	require.ErrorContains(t, err, "agent b")
}

func TestParseSignal(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]syscall.Signal{"": syscall.SIGTERM, "TERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "hup": syscall.SIGHUP, "KILL": syscall.SIGKILL} {
		got, err := ParseSignal(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := ParseSignal("STOP")
	require.ErrorContains(t, err, "use one of TERM")
}

func TestPlain(t *testing.T) {
	t.Parallel()
	out := func(lines ...string) func(Reader) {
		return func(r Reader) {
			for _, l := range lines {
				r.Line(process.Stdout, []byte(l), false)
			}
		}
	}
	for name, c := range map[string]struct {
		feed func(Reader)
		want string
		cut  bool
	}{
		"silence":     {feed: out()},
		"one line":    {feed: out("a"), want: "a"},
		"lines":       {feed: out("a", "", "b"), want: "a\n\nb"},
		"stderr":      {feed: func(r Reader) { r.Line(process.Stderr, []byte("x"), false) }},
		"no text":     {feed: out("a\xffb"), want: "a\ufffdb"},
		"as much":     {feed: out(strings.Repeat("x", ResultMax)), want: strings.Repeat("x", ResultMax)},
		"one more":    {feed: out("a" + strings.Repeat("x", ResultMax)), want: strings.Repeat("x", ResultMax), cut: true},
		"much noise":  {feed: out(strings.Repeat("a\xff", ResultMax/2)), want: strings.Repeat("a\ufffd", ResultMax/4), cut: true},
		"half a rune": {feed: out("ä" + strings.Repeat("x", ResultMax-1)), want: strings.Repeat("x", ResultMax-1), cut: true},
		"a cut line":  {feed: func(r Reader) { r.Line(process.Stdout, []byte("x"), true) }, want: "x", cut: true},
		"many lines":  {feed: out(strings.Split(strings.Repeat("0123456\n", 40000), "\n")...), want: strings.Repeat("0123456\n", ResultMax/8), cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := Agent{}
			r := a.Reader()
			c.feed(r)
			v := r.Verdict()
			require.Equal(t, c.cut, v.ResultTruncated)
			require.True(t, utf8.ValidString(v.Result))
			require.LessOrEqual(t, len(v.Result), ResultMax)
			if name != "many lines" {
				require.True(t, c.want == v.Result, "%.100q", v.Result)
			} else {
				require.True(t, strings.HasSuffix("\n"+c.want, v.Result), "%.100q", v.Result)
			}
			require.False(t, v.Terminal)
			require.False(t, v.Good)
		})
	}
}

func TestPlainIsBounded(t *testing.T) {
	t.Parallel()
	r := &plainReader{}
	for _, size := range []int{1 << 20, 0, 1, ResultMax, ResultMax - 1, ResultMax + 1, 3, 1 << 20, 1 << 20} {
		r.Line(process.Stdout, bytes.Repeat([]byte("x"), size), false)
		require.LessOrEqual(t, len(r.b), 2*ResultMax+1)
	}
	require.Len(t, r.Verdict().Result, ResultMax)
}

func TestPlainAtOnce(t *testing.T) {
	t.Parallel()
	r := (&Agent{Events: "plain"}).Reader()
	var wg sync.WaitGroup
	for _, s := range []process.Stream{process.Stdout, process.Stderr} {
		wg.Go(func() {
			for range 1000 {
				r.Line(s, []byte("line"), false)
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			_ = r.Verdict()
		}
	})
	wg.Wait()
	require.Len(t, r.Verdict().Result, 5*1000-1)
}

// The whole way once: validated, resolved, started, read.
func TestRunsForReal(t *testing.T) {
	t.Parallel()
	a := Agent{
		Name: "a", Command: []string{"sh", "-c", `cat; printf '%s|%s|%s' "$1" "$CURFEW_FENCE" "$HOME"`, "sh", "{session}"},
		EnvPass: []string{"PATH"}, Grace: DefaultGrace,
	}
	require.NoError(t, a.Validate())
	require.NoError(t, a.Resolve())
	argv, reader := a.Argv(call()), a.Reader()
	p, err := process.Start(t.Context(), process.Spec{
		Path: argv[0], Args: argv[1:], Env: a.Environ(call(), os.LookupEnv), Dir: t.TempDir(),
		Stdin: []byte("prompt\n"), Grace: a.Grace, StopSignal: a.StopSignal, Sink: sink{reader},
	})
	require.NoError(t, err)
	require.Equal(t, "code 0", p.Exit().String())
	require.Equal(t, "prompt\n"+session+"|77|", reader.Verdict().Result)

	b := Agent{Name: "b", Command: []string{"/nowhere/b"}}
	require.Error(t, b.Resolve())
	_, err = process.Start(t.Context(), process.Spec{Path: b.Argv(call())[0]})
	spawn, ok := errors.AsType[*process.SpawnError](err)
	require.True(t, ok)
	require.Equal(t, process.SpawnMissing, spawn.Kind)
}

type sink struct{ Reader }

func (sink) Chunk(process.Stream, uint64, []byte) {}
