package config_test

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/cmd/internal/config"
	"curfew/worker/process"
)

// load reads a file that exists only in the test, with the other files it names.
func load(t *testing.T, text string, change func(*config.Sources), files ...string) (config.Loaded, error) {
	t.Helper()
	all := map[string]string{"curfew.yaml": text}
	for i := 0; i+1 < len(files); i += 2 {
		all[files[i]] = files[i+1]
	}
	s := config.Sources{Read: func(path string) ([]byte, error) {
		text, ok := all[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}}
	if change != nil {
		change(&s)
	}
	return config.Load(s)
}

func TestTheExampleIsTheDefault(t *testing.T) {
	t.Parallel()
	got, err := load(t, config.Example(), nil)
	require.NoError(t, err)
	want := config.Default()
	require.Contains(t, got.Agents, "default")
	agents := got.Agents
	got.Agents = nil
	got.HTTP.Hosts = nil
	require.Equal(t, want, got.Config, "the example says what holds without it")

	def := agents["default"]
	require.Equal(t, []string{"curfew", "demo-agent"}, def.Command)
	require.Equal(t, "plain", def.Events)
	require.Equal(t, 10*time.Second, def.Grace)
	run := (&config.Config{Agents: agents}).RunAgents()["default"]
	require.Equal(t, syscall.SIGTERM, run.StopSignal)
	require.Equal(t, []string{"PATH", "HOME"}, run.EnvPass)
}

func TestEveryKeyIsInTheExample(t *testing.T) {
	t.Parallel()
	got, err := load(t, config.Example(), nil)
	require.NoError(t, err)
	for _, key := range config.Keys() {
		require.True(t, got.Given[key], "the example leaves out %s", key)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	got, err := load(t, "worker: {concurrency: 2, drain_timeout: 7s, on_drain: ack}\nlog: {level: debug}\n", func(s *config.Sources) {
		s.Environ = []string{"CURFEW_WORKER_CONCURRENCY=3", "CURFEW_WORKER_DRAIN_TIMEOUT=8s", "CURFEW_NATS_TLS_CA=/ca.pem", "HOME=/root"}
		s.Flags = map[string]config.Flag{"worker.concurrency": {Name: "--concurrency", Value: "4"}}
	})
	require.NoError(t, err)
	require.Equal(t, 4, got.Worker.Concurrency, "a flag wins")
	require.Equal(t, 8*time.Second, got.Worker.DrainTimeout, "then the environment")
	require.Equal(t, "ack", got.Worker.OnDrain, "then the file")
	require.Equal(t, "debug", got.Log.Level)
	require.Equal(t, "requeue", config.Default().Worker.OnDrain)
	require.Equal(t, "/ca.pem", got.NATS.TLS.CA)
	require.Empty(t, got.Warnings)
	require.Equal(t, "curfew.yaml", got.File)
}

func TestUnknownVariablesOnlyWarn(t *testing.T) {
	t.Parallel()
	got, err := load(t, "", func(s *config.Sources) {
		s.Environ = []string{"CURFEW_WORKER_CONCURENCY=9", "CURFEW_SESSION=5b0c", "CURFEW_WORKER=w1", "CURFEW_FENCE=12"}
	})
	require.NoError(t, err)
	require.Equal(t, 4, got.Worker.Concurrency)
	require.Len(t, got.Warnings, 1, "what a subprocess is given is known: %v", got.Warnings)
	require.Contains(t, got.Warnings[0], "CURFEW_WORKER_CONCURENCY")
}

func TestFiles(t *testing.T) {
	t.Parallel()
	none := func(s *config.Sources) {
		s.Read = func(path string) ([]byte, error) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
	}
	got, err := load(t, "", none)
	require.NoError(t, err, "without any file the defaults hold")
	require.Empty(t, got.File)

	_, err = load(t, "", func(s *config.Sources) { none(s); s.File = "other.yaml" })
	require.ErrorIs(t, err, config.ErrNoFile, "a file that was named has to be there")
	require.ErrorContains(t, err, "other.yaml")

	got, err = load(t, "namespace: wrong", func(s *config.Sources) { s.Environ = []string{"CURFEW_CONFIG=b.yaml"} }, "b.yaml", "namespace: b")
	require.NoError(t, err)
	require.Equal(t, "b", got.Namespace)
}

func TestSecretsInFiles(t *testing.T) {
	t.Parallel()
	got, err := load(t, "nats: {user: u, password_file: /n}\nredis: {password_file: /r}\nhttp: {listen: '0.0.0.0:1', token_file: /h}\n", nil,
		"/n", "one\n", "/r", "two\r\n", "/h", "three")
	require.NoError(t, err)
	require.Equal(t, []string{"one", "two", "three"}, []string{got.NATS.Password, got.Redis.Password, got.HTTP.Token})

	_, err = load(t, "redis: {password: hunter2, password_file: /r}", nil, "/r", "hunter3")
	require.ErrorContains(t, err, "redis.password_file")
	require.NotContains(t, err.Error(), "hunter")
	_, err = load(t, "redis: {password_file: /gone}", nil)
	require.ErrorContains(t, err, "curfew.yaml:1: redis.password_file: /gone cannot be read")
	_, err = load(t, "redis: {password_file: /r}", nil, "/r", "\n")
	require.ErrorContains(t, err, "is empty")
}

func TestAnchorsAndMerges(t *testing.T) {
	t.Parallel()
	got, err := load(t, `
agents:
  a: &base
    command: [sh, "{session}"]
    grace: 3s
    env: {pass: [PATH]}
  b:
    <<: *base
    grace: 4s
  c: *base
`, nil)
	require.NoError(t, err)
	require.Equal(t, 4*time.Second, got.Agents["b"].Grace, "its own key wins over a merged one")
	require.Equal(t, []string{"sh", "{session}"}, got.Agents["b"].Command)
	require.Equal(t, got.Agents["a"], got.Agents["c"])
}

func TestAgentLimits(t *testing.T) {
	t.Parallel()
	got, err := load(t, `
agents:
  none: {command: [sh]}
  all:
    command: [sh]
    user: nobody
    group: "12"
    no_new_privs: true
    limits: {nofile: 1024, core: 1MiB, nice: 5, oom_score_adj: 700, memory_max: 1.5GiB, pids_max: 200}
`, nil)
	require.NoError(t, err)
	agents := got.RunAgents()
	require.Equal(t, process.Limits{OOMScoreAdj: process.DefaultOOMScore}, agents["none"].Limits)
	require.Empty(t, agents["none"].User)
	require.Equal(t, process.Limits{
		NoFile: 1024, Core: 1 << 20, Nice: 5, OOMScoreAdj: 700, MemoryMax: 3 << 29, PidsMax: 200, NoNewPrivs: true,
	}, agents["all"].Limits)
	require.Equal(t, "nobody", agents["all"].User)
	require.Equal(t, "12", agents["all"].Group)
}

// Each case is one mistake; the message has to name the line, the key and what is allowed.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"an unknown key":                {"nats:\n  urll: x\n", []string{"curfew.yaml:2", "nats.urll", "unknown key", "inbox_prefix"}},
		"an unknown section":            {"\nnaats: {}\n", []string{"curfew.yaml:2", "naats"}},
		"an unknown key of an agent":    {"agents:\n  a:\n    command: [sh]\n    shell: x\n", []string{"curfew.yaml:4", "agents.a.shell"}},
		"all unknown keys at once":      {"x: 1\ny: 2\n", []string{"curfew.yaml:1: x", "curfew.yaml:2: y"}},
		"a key twice":                   {"log: {level: info}\nlog: {level: warn}\n", []string{"curfew.yaml:2", "already defined"}},
		"a duration without a unit":     {"worker:\n  drain_timeout: 30\n", []string{"curfew.yaml:2", "worker.drain_timeout", "30s"}},
		"a fraction":                    {"worker: {concurrency: 1.5}\n", []string{"curfew.yaml:1", "worker.concurrency", "whole number"}},
		"a word for a number":           {"worker: {concurrency: many}\n", []string{"worker.concurrency", "whole number"}},
		"a huge number":                 {"worker: {concurrency: 99999999999999999999}\n", []string{"worker.concurrency", "whole number"}},
		"a list for a value":            {"namespace: [a]\n", []string{"curfew.yaml:1", "namespace", "one value"}},
		"a value for a list":            {"agents: {a: {command: sh -c x}}\n", []string{"agents.a.command", "list"}},
		"a value for a section":         {"nats: here\n", []string{"nats", "section"}},
		"no YAML":                       {"a: [\n", []string{"curfew.yaml:1"}},
		"two documents":                 {"log: {level: info}\n---\nlog: {level: warn}\n", []string{"second document"}},
		"a bad namespace":               {"namespace: Big.One\n", []string{"curfew.yaml:1: namespace", `"Big.One"`, "lower-case"}},
		"a bad level":                   {"log: {level: loud}\n", []string{"log.level", `"loud"`, "debug"}},
		"a bad on_drain":                {"worker: {on_drain: drop}\n", []string{"worker.on_drain", "requeue, ack, dead"}},
		"no concurrency":                {"worker: {concurrency: 0}\n", []string{"worker.concurrency", "1 to 10000"}},
		"a session older than records":  {"session: {max_age: 169h}\n", []string{"session.max_age", "168h"}},
		"an agent older than records":   {"agents: {a: {command: [sh], max_age: 200h}}\n", []string{"agents.a.max_age", "168h"}},
		"no max_age":                    {"session: {max_age: 0s}\n", []string{"session.max_age"}},
		"a lease that cannot be kept":   {"lease: {ttl: 5s, renew: 4s, margin: 2s}\n", []string{"lease", "renew"}},
		"backoffs the wrong way round":  {"retry: {backoff: 1m, max_backoff: 1s}\n", []string{"retry.max_backoff", "at least"}},
		"143 in exits":                  {"agents:\n  a:\n    command: [sh]\n    exits: [{code: 143, action: retry}]\n", []string{"curfew.yaml:4", "agents.a.exits", "143"}},
		"an unknown action":             {"agents: {a: {command: [sh], exits: [{code: 3, action: maybe}]}}\n", []string{"agents.a.exits", "maybe", "succeed"}},
		"a bad signal":                  {"agents: {a: {command: [sh], stop_signal: STOP}}\n", []string{"agents.a.stop_signal", "STOP", "TERM"}},
		"unknown events":                {"agents: {a: {command: [sh], events: xml}}\n", []string{"agents.a.events", "xml", "plain"}},
		"a limit without a number":      {"agents:\n  a:\n    command: [sh]\n    limits:\n      memory_max: lots\n", []string{"curfew.yaml:5", "agents.a.limits.memory_max", `"lots"`, "4GiB"}},
		"a limit without its unit":      {"agents:\n  a:\n    command: [sh]\n    limits: {memory_max: 4}\n", []string{"curfew.yaml:4", "agents.a.limits.memory_max", "4B", "too little"}},
		"an unknown limit":              {"agents: {a: {command: [sh], limits: {memory: 1G}}}\n", []string{"agents.a.limits.memory", "unknown key", "memory_max"}},
		"too nice":                      {"agents:\n  a:\n    command: [sh]\n    limits:\n      nofile: 10\n      nice: 20\n", []string{"curfew.yaml:6", "agents.a.limits.nice", "0 to 19"}},
		"an OOM score below the worker": {"agents: {a: {command: [sh], limits: {oom_score_adj: -5}}}\n", []string{"agents.a.limits.oom_score_adj", "1 to 1000"}},
		"negative processes":            {"agents: {a: {command: [sh], limits: {pids_max: -1}}}\n", []string{"agents.a.limits.pids_max", "negative"}},
		"a group without a user":        {"agents:\n  a:\n    command: [sh]\n    group: staff\n", []string{"curfew.yaml:4", "agents.a.group", "without user"}},
		"neither true nor false":        {"agents:\n  a:\n    command: [sh]\n    no_new_privs: maybe\n", []string{"curfew.yaml:4", "agents.a.no_new_privs", "true or false"}},
		"an agent without a command":    {"agents: {a: {}}\n", []string{"agents.a.command"}},
		"a reserved variable":           {"agents: {a: {command: [sh], env: {set: {CURFEW_FENCE: x}}}}\n", []string{"agents.a.env.set", "CURFEW_"}},
		"another scheme":                {"redis: {url: 'http://h'}\n", []string{"redis.url", "redis://"}},
		"beyond loopback and no token":  {"http: {listen: '0.0.0.0:8411'}\n", []string{"http.token", "http.token_file"}},
		"a certificate without its key": {"nats: {tls: {cert: a}}\n", []string{"nats.tls.cert"}},
		"a password without a user":     {"nats: {password: a}\n", []string{"nats.user"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.file, nil)
			var ce *config.Error
			require.ErrorAs(t, err, &ce)
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func TestAMistakeNamesItsVariableOrFlag(t *testing.T) {
	t.Parallel()
	_, err := load(t, "", func(s *config.Sources) { s.Environ = []string{"CURFEW_LEASE_TTL=soon"} })
	require.ErrorContains(t, err, "CURFEW_LEASE_TTL: lease.ttl: must be a duration")
	_, err = load(t, "worker: {concurrency: 2}", func(s *config.Sources) {
		s.Flags = map[string]config.Flag{"worker.concurrency": {Name: "--concurrency", Value: "0"}}
	})
	require.ErrorContains(t, err, "--concurrency: worker.concurrency: is 0")
}

func TestMistakesKeepSecrets(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"nats: {url: 'nats://me:hunter2@ho st:1'}\n",
		"nats: {url: 'nats://me:hunter2%zz@host'}\n",
		"redis: {url: 'http://:hunter2@h'}\nzzz: 1\n",
		"redis:\n  password: hunter2\n  passwrod: hunter2\n",
		"redis: {password: [hunter2]}\n",
		"redis: {password: \"hunter2\n",
		"http: {token: hunter2, listen: nowhere}\n",
	} {
		_, err := load(t, file, nil)
		require.Error(t, err, file)
		require.NotContains(t, err.Error(), "hunter2", file)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		4 * time.Hour: "4h", 90 * time.Minute: "1h30m", 30 * time.Second: "30s", 0: "0s", 10 * time.Minute: "10m", time.Hour + time.Second: "1h0m1s",
	} {
		require.Equal(t, want, config.Short(d))
	}
	require.False(t, strings.HasSuffix(config.Short(20*time.Minute), "0m0s"))
}
