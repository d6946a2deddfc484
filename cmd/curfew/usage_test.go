package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

const anySession = "5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11"

// Nothing of this needs a server: wrong usage is found before one is asked.
func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"frobnicate",
		"dead",
		"dead frobnicate",
		"config",
		"publish",
		"publish New hello",
		"publish " + strings.ToUpper(anySession) + " hello",
		"publish {" + anySession + "} hello",
		"publish " + anySession + " a b",
		"publish new --conflict maybe",
		"publish new --timeout -1s",
		"publish new --timeout soon",
		"publish new --created-at yesterday",
		"publish new -o yaml",
		"publish --file jobs.jsonl --wait",
		"publish new --file jobs.jsonl",
		"publish --file /gone.jsonl",
		"show",
		"show x",
		"logs",
		"stop x",
		"cancel x",
		"extend " + anySession,
		"extend " + anySession + " 2",
		"extend " + anySession + " -2h",
		"dead retry",
		"dead retry 1 --all",
		"dead retry 1 --reason expired",
		"dead retry --all --session x",
		"dead drop",
		"dead ls --since -1h",
		"dead ls --session x",
		"sessions x",
		"worker --what",
		"sweep now",
		"halt now",
		"halt --wait -1s",
		"unhalt now",
		"workers",
		"workers lss",
		"completion",
		"completion csh",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			r := begin(t, "", nil, strings.Fields(line)...).wait(t)
			require.Equal(t, 2, r.code, r.err)
			require.Empty(t, r.out)
			require.Contains(t, r.err, "curfew: ")
			require.Contains(t, r.err, "Usage: curfew", "usage is on stderr")
			require.Less(t, strings.Count(r.err, "\n"), 6, "and short")
		})
	}
}

func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "curfew.yaml")
	require.NoError(t, os.WriteFile(file, []byte("worker:\n  concurency: 3\n"), 0o600))
	for name, c := range map[string]struct {
		line    []string
		environ []string
		want    string
	}{
		"an unknown key":           {[]string{"config", "check", "--config", file}, nil, file + ":2: worker.concurency: unknown key"},
		"before a server is asked": {[]string{"worker", "--config", file}, nil, file + ":2"},
		"no such file":             {[]string{"sessions", "--config", file + ".gone"}, nil, "no such configuration file"},
		"a flag":                   {[]string{"worker", "--concurrency", "0"}, nil, "--concurrency: worker.concurrency: is 0"},
		"a variable":               {[]string{"sweep"}, []string{"CURFEW_LEASE_TTL=x"}, "CURFEW_LEASE_TTL: lease.ttl"},
		"no agent":                 {[]string{"worker"}, nil, "agents: is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := begin(t, "", c.environ, c.line...).wait(t)
			require.Equal(t, 2, r.code)
			require.Contains(t, r.err, c.want)
		})
	}
}

func TestAMissingProgram(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, "agents: {default: {command: [no-such-program-here]}}\n")
	for _, line := range [][]string{{"worker"}, {"config", "check"}} {
		r := p.run(t, line...)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, "no-such-program-here")
		require.Contains(t, r.err, "agents.default")
	}
}

func TestServersThatAreNotThere(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, demoAgents)
	for name, c := range map[string]struct {
		line []string
		want string
	}{
		"a worker without NATS":  {[]string{"worker", "--nats-url", "nats://me:hunter2@127.0.0.1:1"}, "127.0.0.1:1"},
		"a worker without Redis": {[]string{"worker", "--redis-url", "redis://:hunter2@127.0.0.1:1/0"}, "127.0.0.1:1"},
		"a producer":             {[]string{"publish", "new", "x", "--nats-url", "nats://127.0.0.1:1"}, "--nats-url"},
		"a viewer":               {[]string{"sessions", "--nats-url", "nats://127.0.0.1:1"}, "curfew dev"},
		"a sweep":                {[]string{"sweep", "--redis-url", "redis://127.0.0.1:1"}, "127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			r := p.run(t, c.line...)
			require.Equal(t, 4, r.code, r.err)
			require.Contains(t, r.err, c.want)
			require.NotContains(t, r.err, "hunter2")
			require.Less(t, time.Since(began), 60*time.Second)
		})
	}
}

func TestNotSetUp(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, "{}\n")
	r := p.run(t, "publish", "new", "x")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "curfew setup")
	require.Equal(t, 0, p.run(t, "setup").code)
	require.Equal(t, 0, p.run(t, "publish", "new", "x").code)
}

func TestEveryCommandShowsAnExample(t *testing.T) {
	t.Parallel()
	visit((&app{}).root(), func(c *cobra.Command) {
		require.NotEmpty(t, c.Example, "%s has no example", c.CommandPath())
		require.NotEmpty(t, c.Short, "%s says nothing about itself", c.CommandPath())
		r := begin(t, "", nil, append(strings.Fields(c.CommandPath())[1:], "--help")...).wait(t)
		require.Equal(t, 0, r.code, r.err)
		require.Contains(t, r.out, c.Example, "--help of %s", c.CommandPath())
	})
	r := begin(t, "", nil, "dead", "retry", "--help").wait(t)
	require.Equal(t, 0, r.code)
	require.Contains(t, r.out, "curfew dead retry 12 --session new")
}

func TestConfigExampleIsGood(t *testing.T) {
	t.Parallel()
	r := begin(t, "", nil, "config", "example").wait(t)
	require.Equal(t, 0, r.code)
	file := filepath.Join(t.TempDir(), "c.yaml")
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(r.out, "[curfew, demo-agent]", "["+self+", demo-agent]")), 0o600))
	r = begin(t, "", []string{"CURFEW_NOPE=1"}, "config", "check", "--config", file).wait(t)
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "agent default")
	require.Contains(t, r.err, "CURFEW_NOPE", "a variable that means nothing warns")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	r := begin(t, "", nil, "version", "-o", "json").wait(t)
	require.Equal(t, 0, r.code)
	require.Contains(t, r.out, `"version": "unknown"`)
}

func TestMistypedWordsAreAskedBack(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"seesions":                   "did you mean sessions?",
		"dead rety 1":                "did you mean retry?",
		"publish new x --agnet me":   "did you mean --agent?",
		"sessions --al":              "did you mean --all?",
		"frobnicate":                 "is not a command of `curfew`\n",
		"worker --frobnicate-it-all": "unknown flag: --frobnicate-it-all\n",
	} {
		r := begin(t, "", nil, strings.Fields(line)...).wait(t)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, want)
	}
}

func TestDevDoesNotPretendToUseServersElsewhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, environ []string
		want          string
	}{
		{[]string{"dev", "--nats-url", "nats://other:4222"}, nil, "--nats-url: nats.url"},
		{[]string{"dev"}, []string{"CURFEW_REDIS_URL=redis://other:6379"}, "CURFEW_REDIS_URL: redis.url"},
	} {
		r := begin(t, "", append([]string{"HOME=" + t.TempDir()}, c.environ...), c.line...).wait(t)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, c.want)
		require.Contains(t, r.err, "starts its own")
	}
}
