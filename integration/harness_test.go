package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The instruments are tested before what they measure.

// direct starts a witness without any worker.
func direct(t *testing.T, dir, session, fence, prompt string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0", witnessEnv + "=" + dir, "CURFEW_SESSION=" + session, "CURFEW_JOB=j" + fence, "CURFEW_FENCE=" + fence, "CURFEW_ATTEMPT=1"}
	cmd.Stdin = strings.NewReader(prompt)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestWitnessEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, prompt string
		signal       syscall.Signal
		code         int
	}{
		{name: "opaque", prompt: "\x00\xff exit 3", code: 0},
		{name: "code", prompt: script("exit 3"), code: 3},
		{name: "other attempt", prompt: script("@2 exit 3"), code: 0},
		{name: "SEGV", prompt: script("signal SEGV"), signal: syscall.SIGSEGV},
		{name: "KILL", prompt: script("signal KILL"), signal: syscall.SIGKILL},
		{name: "TERM", prompt: script("signal TERM"), signal: syscall.SIGTERM},
		{name: "typo", prompt: script("exti 3"), code: confusedExit},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := direct(t, dir, "s", "7", c.prompt)
			_ = cmd.Wait()
			status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
			require.True(t, ok)
			if c.signal != 0 {
				require.True(t, status.Signaled(), "%v", cmd.ProcessState)
				require.Equal(t, c.signal, status.Signal())
			} else {
				require.Equal(t, c.code, cmd.ProcessState.ExitCode())
			}
			all, err := readJournals(dir)
			require.NoError(t, err)
			require.Len(t, all, 2)
			require.Equal(t, kindStart, all[0].Kind)
			require.Equal(t, uint64(7), all[0].Fence)
		})
	}
}

func TestWitnessAnswersTerm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	armed := filepath.Join(dir, "armed")
	cmd := direct(t, dir, "s", "1", script("term-exit 143 5ms", "touch "+armed, "sleep 1m"))
	require.True(t, poll(patience, func() bool { _, err := os.Stat(armed); return err == nil }))
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait()
	require.Equal(t, 143, cmd.ProcessState.ExitCode())
}

// TestWitnessSeesOverlap: while one lives, even one that was stopped, another of its session is caught; after a kill it is not.
func TestWitnessSeesOverlap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	entries := func() []entry {
		all, err := readJournals(dir)
		require.NoError(t, err)
		return all
	}
	first := direct(t, dir, "s", "1", script("sleep 1m"))
	require.True(t, poll(patience, func() bool { return len(entries()) == 1 }))
	require.NoError(t, first.Process.Signal(syscall.SIGSTOP))

	second := direct(t, dir, "s", "2", "")
	_ = second.Wait()
	require.Equal(t, overlapExit, second.ProcessState.ExitCode())
	require.NotEmpty(t, noOverlap(history{Entries: entries()}))

	other := direct(t, dir, "s2", "3", "")
	require.NoError(t, other.Wait())

	require.NoError(t, first.Process.Kill())
	_ = first.Wait()
	third := direct(t, dir, "s", "4", "")
	require.NoError(t, third.Wait())
}

// TestServersRestart: killed servers come back on their port; NATS with its streams, Redis with nothing.
func TestServersRestart(t *testing.T) {
	t.Parallel()
	share(t)
	s := ownStack(t, realRedis)
	w := newWorld(t, s)
	ctx := t.Context()
	c := s.redis.client()
	defer c.Close()
	require.NoError(t, c.Set(ctx, w.ns+":{x}:lock", "1", time.Minute).Err())
	_, err := w.js.CreateStream(ctx, streamConfig(w.stream("EVENTS"), w.ns+".events.>"))
	require.NoError(t, err)
	_, err = w.js.Publish(ctx, w.ns+".events.x", []byte(`{"type":"started","job":"a"}`))
	require.NoError(t, err)
	require.Len(t, w.readEvents(), 1)

	s.nats.kill()
	s.redis.kill()
	require.Len(t, w.readEvents(), 1, "an absent server is not an error")
	require.NoError(t, s.nats.start())
	require.NoError(t, s.redis.start())

	require.True(t, poll(patience, func() bool {
		_, err = w.js.Publish(ctx, w.ns+".events.x", []byte(`{"type":"started","job":"b"}`))
		return err == nil
	}))
	require.Len(t, w.readEvents(), 2)
	keys, err := s.redis.keys(ctx, w.ns+":{*}:lock")
	require.NoError(t, err)
	require.Empty(t, keys)
}

// TestProcEnds: a child that ignores SIGTERM is killed.
func TestProcEnds(t *testing.T) {
	t.Parallel()
	p, err := lab.start(command{name: "sleeper", path: "/bin/sh", args: []string{"-c", "trap '' TERM; echo on; while :; do sleep 1; done"}, dir: t.TempDir(), env: baseEnv()})
	require.NoError(t, err)
	require.True(t, poll(patience, func() bool { return strings.Contains(p.output(), "on") }))
	_, polite := p.end(50 * time.Millisecond)
	require.False(t, polite)
	require.False(t, p.alive())
}
