package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"curfew/cmd/internal/stack"
)

// beProgram is set where the test binary is to be the program itself.
const beProgram = "BE_THE_PROGRAM"

// TestMain lets the test binary be the demonstration agent, as the real program is, and the program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "demo-agent" || os.Getenv(beProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// buffer is written by a command and read by its test.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// result is what a command line did.
type result struct {
	code     int
	out, err string
}

// command is a command line that runs on.
type command struct {
	out, err buffer
	signals  chan os.Signal
	done     chan struct{}
	code     int // once done is closed
}

// begin starts a command line in this process.
func begin(t *testing.T, in string, environ []string, line ...string) *command {
	t.Helper()
	c := &command{signals: make(chan os.Signal, 4), done: make(chan struct{})}
	a := &app{in: strings.NewReader(in), out: &c.out, err: &c.err, environ: environ, signals: c.signals}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		cancel()
		<-c.done
	})
	go func() {
		defer close(c.done)
		c.code = a.run(ctx, line)
	}()
	return c
}

// wait answers what the command did once it ended.
func (c *command) wait(t *testing.T) result {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(120 * time.Second):
		require.FailNow(t, "the command does not end", "stdout: %s\nstderr: %s", c.out.String(), c.err.String())
	}
	return result{c.code, c.out.String(), c.err.String()}
}

// says waits until the command has printed text.
func (c *command) says(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains(c.out.String()+c.err.String(), text)
	}, 60*time.Second, 5*time.Millisecond, "waiting for %q\nstdout: %s\nstderr: %s", text, &c.out, &c.err)
}

// place is a stack with the environment that leads commands to it.
type place struct {
	stack   *stack.Stack
	environ []string
	dir     string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	log := logrus.New()
	log.SetOutput(&buffer{})
	dir := t.TempDir()
	s, err := stack.Start(stack.Options{Data: filepath.Join(dir, "stack"), Log: logrus.NewEntry(log)})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return &place{stack: s, dir: dir, environ: []string{
		"CURFEW_NATS_URL=" + s.NATSURL(), "CURFEW_REDIS_URL=" + s.RedisURL(), "CURFEW_HTTP_LISTEN=", "HOME=" + dir,
		"XDG_RUNTIME_DIR=" + dir, "CURFEW_CONFIG=" + filepath.Join(dir, "curfew.yaml"),
	}}
}

// configure writes curfew.yaml; SELF in it is this program.
func (p *place) configure(t *testing.T, text string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "curfew.yaml"), []byte(strings.ReplaceAll(text, "SELF", self)), 0o600))
}

const demoAgents = `
retry: {attempts: 2, backoff: 10ms}
worker: {drain_timeout: 10s}
agents:
  default:
    command: [SELF, demo-agent]
    env: {pass: [PATH]}
    grace: 2s
`

// newFleet is a place with a worker that runs demonstration agents.
func newFleet(t *testing.T) (*place, *command) {
	t.Helper()
	p := newPlace(t)
	p.configure(t, demoAgents)
	w := p.worker(t)
	return p, w
}

func (p *place) worker(t *testing.T, flags ...string) *command {
	t.Helper()
	w := begin(t, "", p.environ, append([]string{"worker"}, flags...)...)
	w.says(t, "worker ready")
	return w
}

// run executes a command line to its end.
func (p *place) run(t *testing.T, line ...string) result {
	t.Helper()
	return p.runWith(t, "", line...)
}

func (p *place) runWith(t *testing.T, in string, line ...string) result {
	t.Helper()
	return begin(t, in, p.environ, line...).wait(t)
}

// good executes a command line that has to succeed, with -o json, and reads what it printed.
func (p *place) good(t *testing.T, into any, line ...string) {
	t.Helper()
	r := p.run(t, append(line, "-o", "json")...)
	require.Equal(t, 0, r.code, "%s\n%s%s", strings.Join(line, " "), r.out, r.err)
	require.NoError(t, json.Unmarshal([]byte(r.out), into), r.out)
}

// row reads a session; it has to exist.
func (p *place) row(t *testing.T, session string) map[string]any {
	t.Helper()
	var row map[string]any
	p.good(t, &row, "show", session)
	return row
}

// runs waits until a session's subprocess lives and was noted.
func (p *place) runs(t *testing.T, session string) {
	t.Helper()
	p.until(t, session, func(row map[string]any) bool {
		pid, _ := row["pid"].(float64)
		return row["state"] == "running" && pid > 0
	})
}

func (p *place) until(t *testing.T, session string, good func(map[string]any) bool) map[string]any {
	t.Helper()
	var row map[string]any
	require.Eventually(t, func() bool {
		row = p.row(t, session)
		return good(row)
	}, 60*time.Second, 20*time.Millisecond)
	return row
}

const (
	sigterm = syscall.SIGTERM
	sigint  = syscall.SIGINT
)
