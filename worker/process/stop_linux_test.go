package process

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStop(t *testing.T) {
	t.Parallel()
	const short = 300 * time.Millisecond
	for name, c := range map[string]struct {
		program string
		grace   time.Duration
		signal  syscall.Signal // to stop with
		want    string
		waits   bool // the grace runs out
	}{
		"TERM by default":     {program: "default", grace: patience, want: "SIGTERM"},
		"another signal":      {program: "default", grace: patience, signal: syscall.SIGQUIT, want: "code 2"},
		"trapped":             {program: "trap", grace: patience, want: "code 143"},
		"ignored":             {program: "deaf", grace: short, want: "SIGKILL", waits: true},
		"no grace":            {program: "trap", grace: 0, want: "SIGKILL"},
		"stopped hears it":    {program: "stopped", grace: patience, want: "SIGTERM"},
		"moved to our group":  {program: "emigrant", grace: patience, want: "SIGTERM"},
		"moved and no grace":  {program: "emigrant", grace: 0, want: "SIGKILL"},
		"stopped and no time": {program: "stopped", grace: 0, want: "SIGKILL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := child(c.program)
			s.Grace, s.StopSignal = c.grace, c.signal
			p, r := run(t, s)
			r.await(t, "ready")
			if c.program == "stopped" {
				awaitState(t, p.PID(), 'T')
			}
			begin := time.Now()
			p.Stop(errFirst)
			p.Stop(errSecond)
			e := end(t, p, r)
			require.Equal(t, c.want, e.String())
			if c.waits {
				require.GreaterOrEqual(t, time.Since(begin), c.grace)
			}
			require.Less(t, time.Since(begin), patience)

			cause, at := p.Intent()
			require.Equal(t, errFirst, cause)
			signalled, ok := p.Signalled()
			require.True(t, ok)
			require.False(t, signalled.Before(at), "the intent is recorded before the signal")
			require.False(t, e.At.Before(signalled))
		})
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	p, r := run(t, child("deaf"))
	r.await(t, "ready")
	p.Stop(errFirst) // its grace is a minute
	p.Kill(errSecond)
	require.Equal(t, "SIGKILL", end(t, p, r).String())
	cause, _ := p.Intent()
	require.Equal(t, errFirst, cause)
}

func TestStopWithoutCause(t *testing.T) {
	t.Parallel()
	p, r := run(t, child("default"))
	r.await(t, "ready")
	p.Stop(nil)
	end(t, p, r)
	cause, _ := p.Intent()
	require.ErrorIs(t, cause, ErrStopped)
}

// A late Stop changes nothing: neither while wait has not seen the end yet,
// nor after it, when number and descriptor may be somebody else's.
func TestStopAfterEnd(t *testing.T) {
	t.Parallel()
	t.Run("reaped", func(t *testing.T) {
		t.Parallel()
		p, r := run(t, child("exit", "0"))
		end(t, p, r)
		p.Stop(errFirst)
		p.Kill(errFirst)
		requireUnasked(t, p)
	})
	t.Run("ended, output held open", func(t *testing.T) {
		t.Parallel()
		p, r := run(t, child("holder"))
		r.await(t, "left")
		awaitGone(t, p.PID())
		p.Stop(errFirst)
		requireUnasked(t, p)
		end(t, p, r)
	})
	t.Run("not seen yet", func(t *testing.T) {
		t.Parallel()
		// No wait goroutine: the end is there and nobody has noticed.
		pid, err := syscall.ForkExec(selfPath(), []string{"child"}, &syscall.ProcAttr{
			Env: []string{childVar + "=default"}, Sys: &syscall.SysProcAttr{Setpgid: true},
		})
		require.NoError(t, err)
		p := &Process{leader: newLeader(pid, -1, false), stopSignal: syscall.SIGTERM}
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		p.leader.awaitEnd()
		p.Stop(errFirst)
		requireUnasked(t, p)
		_, ok := p.leader.reap()
		require.True(t, ok)
	})
}

func requireUnasked(t *testing.T, p *Process) {
	t.Helper()
	cause, _ := p.Intent()
	require.NoError(t, cause)
	_, ok := p.Signalled()
	require.False(t, ok)
}

// awaitState waits for a process to be in a state of /proc/PID/stat.
func awaitState(t *testing.T, pid int, want byte) {
	t.Helper()
	require.Eventually(t, func() bool { return stateOf(pid) == want }, patience, time.Millisecond)
}

// awaitGone waits for a process to be reaped.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return stateOf(pid) == 0 }, patience, time.Millisecond)
}

// stateOf is 0 for a process that is not there.
func stateOf(pid int) byte {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	st, _ := parseStat(stat)
	return st.state
}
