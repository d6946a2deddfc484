package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// office is a NATS server and a Redis with the users of docs/operations.md, and commands given in their names.
type office struct {
	t     testing.TB
	dir   string
	nats  *proc
	nport int
	hport int // of the worker's HTTP
	redis *redisServer
}

const (
	redisUser     = "curfew-worker"
	redisPassword = "redisSecret7"
)

func password(role string) string { return role + "Secret7" }

func newOffice(tb testing.TB) *office {
	tb.Helper()
	needRedis(tb)
	dir, err := os.MkdirTemp(lab.dir, "office") //nolint:usetesting // stays with the test run's files, which can be kept
	require.NoError(tb, err)
	o := &office{t: tb, dir: dir}
	o.startNATS()
	o.startRedis()
	agent := "{command: [/bin/sh], env: {pass: [PATH]}, grace: 3s%s}" // the prompt is a script
	agents := "default: " + fmt.Sprintf(agent, "") + "\n  short: " + fmt.Sprintf(agent, ", max_age: 15s")
	o.hport, err = freePort()
	require.NoError(tb, err)
	conf := "session: {sweep_every: 1s}\nretry: {attempts: 1}\nqueue: {busy_delay: 500ms}\nworker: {drain_timeout: 3s, data: %s, run_dir: %s}\nhttp: {listen: %q}\nagents:\n  %s\n"
	require.NoError(tb, os.WriteFile(o.path("curfew.yaml"), fmt.Appendf(nil, conf, o.path("data"), o.path("run"), hostPort(o.hport), agents), 0o600))
	return o
}

func (o *office) path(name string) string { return filepath.Join(o.dir, name) }

func (o *office) startNATS() {
	o.t.Helper()
	bin, err := lab.natsServer()
	require.NoError(o.t, err)
	o.nport, err = freePort()
	require.NoError(o.t, err)
	accounts := block(o.t, "operations.md", "conf", "# curfew.accounts.conf")
	require.NoError(o.t, os.WriteFile(o.path("curfew.accounts.conf"), []byte(accounts), 0o600))
	server := fmt.Sprintf("listen: %q\nmax_payload: %d\njetstream {store_dir: %q}\ninclude curfew.accounts.conf\n", hostPort(o.nport), maxPayload, o.path("jetstream"))
	require.NoError(o.t, os.WriteFile(o.path("nats.conf"), []byte(server), 0o600))
	var env []string
	for _, role := range []string{"producer", "worker", "viewer", "operator"} {
		env = append(env, strings.ToUpper(role)+"_PASSWORD="+password(role))
	}
	o.nats, err = lab.start(command{name: "nats-server", path: bin, args: []string{"-c", o.path("nats.conf")}, dir: o.dir, env: env})
	require.NoError(o.t, err)
	o.t.Cleanup(func() { o.nats.end(10 * time.Second) })
	require.NoError(o.t, o.nats.awaitService(func(context.Context) error {
		nc, err := nats.Connect(hostPort(o.nport), nats.UserInfo("operator", password("operator")), nats.Timeout(5*time.Second))
		if err == nil {
			nc.Close()
		}
		return err
	}))
}

func (o *office) startRedis() {
	o.t.Helper()
	users := strings.ReplaceAll(block(o.t, "operations.md", "acl", "# users.acl"), "REDIS_PASSWORD", redisPassword)
	// Redis takes no comment in this file.
	_, users, _ = strings.Cut(users, "\n")
	require.NoError(o.t, os.WriteFile(o.path("users.acl"), []byte(users), 0o600))
	o.redis = &redisServer{lab: lab, dir: o.dir}
	var err error
	o.redis.port, err = freePort()
	require.NoError(o.t, err)
	o.redis.proc, err = lab.start(command{
		name: "redis-server", path: redisPath(), dir: o.dir,
		args: []string{"--port", fmt.Sprint(o.redis.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", o.dir, "--aclfile", o.path("users.acl")},
	})
	require.NoError(o.t, err)
	o.t.Cleanup(func() { o.redis.proc.end(10 * time.Second) })
	require.NoError(o.t, o.redis.proc.awaitService(func(ctx context.Context) error {
		c := redis.NewClient(&redis.Options{Addr: o.redis.address(), Username: redisUser, Password: redisPassword, DialTimeout: 5 * time.Second, MaxRetries: -1})
		defer c.Close()
		return c.Ping(ctx).Err()
	}))
}

// env is what a program needs to be this user of NATS.
func (o *office) env(role string) []string {
	env := append(baseEnv(),
		"CURFEW_NATS_URL=nats://"+hostPort(o.nport), "CURFEW_NATS_USER="+role, "CURFEW_NATS_PASSWORD="+password(role),
		"CURFEW_NATS_INBOX_PREFIX=_INBOX_"+role)
	if role == "worker" {
		env = append(env, "CURFEW_NATS_DECLARE=never")
	}
	if role == "worker" || role == "operator" {
		env = append(env, "CURFEW_REDIS_URL=redis://"+redisUser+"@"+o.redis.address()+"/0", "CURFEW_REDIS_PASSWORD="+redisPassword)
	}
	return env
}

// as runs a command in the name of a role.
func (o *office) as(role string, args ...string) answer {
	o.t.Helper()
	bin, err := lab.curfewTest()
	require.NoError(o.t, err)
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(o.t.Context(), bin, append(args, "--config", o.path("curfew.yaml"))...)
	cmd.Env, cmd.Stdout, cmd.Stderr = o.env(role), &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(o.t, err)
	}
	return answer{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// must runs a command that this role may give.
func (o *office) must(role string, args ...string) string {
	o.t.Helper()
	a := o.as(role, args...)
	require.Zero(o.t, a.code, "%s: curfew %v\n%s%s", role, args, a.stdout, a.stderr)
	return a.stdout
}

// worker starts a worker in the worker's name and waits until it pulls. Its id is its own on this host: workers end what dead
// ones of their names have left.
func (o *office) worker(name string) *proc {
	o.t.Helper()
	bin, err := lab.curfewTest()
	require.NoError(o.t, err)
	p, err := lab.start(command{
		name: name, path: bin, dir: o.dir, env: o.env("worker"),
		args: []string{"worker", "--config", o.path("curfew.yaml"), "--worker-id", filepath.Base(o.dir) + "-" + name, "--log-format", "json"},
	})
	require.NoError(o.t, err)
	o.t.Cleanup(func() { p.end(patience) })
	require.True(o.t, poll(patience, func() bool { return strings.Contains(p.output(), "worker ready") || !p.alive() }))
	require.Contains(o.t, p.output(), "worker ready")
	return p
}

// stored is the job that a publish printed.
type stored struct {
	Session string `json:"session"`
	Final   *event `json:"final"`
}
