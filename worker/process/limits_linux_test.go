package process

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func statusOf(t *testing.T, pid int, field string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n"+field+":")
	require.True(t, found)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Join(strings.Fields(line), " ")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := child("default")
	s.Limits = Limits{NoFile: 123, Core: 4096, Nice: 3, OOMScoreAdj: 700}
	p, r := run(t, s)
	r.await(t, "ready")
	var limit unix.Rlimit
	require.NoError(t, unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, nil, &limit))
	require.Equal(t, unix.Rlimit{Cur: 123, Max: 123}, limit)
	require.NoError(t, unix.Prlimit(p.PID(), unix.RLIMIT_CORE, nil, &limit))
	require.Equal(t, unix.Rlimit{Cur: 4096, Max: 4096}, limit)
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, p.PID())
	require.NoError(t, err)
	require.Equal(t, ownNice()+3, 20-nice)
	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.PID()))
	require.NoError(t, err)
	require.Equal(t, "700", strings.TrimSpace(string(score)))
	require.Equal(t, "0", statusOf(t, p.PID(), "NoNewPrivs"))
}

func TestNoNewPrivs(t *testing.T) {
	t.Parallel()
	s := child("default")
	s.Limits.NoNewPrivs = true
	p, r := run(t, s)
	r.await(t, "ready")
	require.Equal(t, "1", statusOf(t, p.PID(), "NoNewPrivs"))
	p, r = run(t, child("default"))
	r.await(t, "ready")
	require.Equal(t, "0", statusOf(t, p.PID(), "NoNewPrivs"), "another thread started it")
}

func TestCredential(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give a run to somebody else")
	}
	p := start(t, Spec{Path: "/bin/sleep", Args: []string{"61"}, Limits: Limits{Credential: &Credential{UID: 65534, GID: 65533, Groups: []uint32{65532}}}})
	require.Equal(t, "65534 65534 65534 65534", statusOf(t, p.PID(), "Uid"))
	require.Equal(t, "65533 65533 65533 65533", statusOf(t, p.PID(), "Gid"))
	require.Equal(t, "65532", statusOf(t, p.PID(), "Groups"))
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.PID()))
	require.NoError(t, err)
	require.Regexp(t, `Max core file size +0 `, string(limits), "also where nobody may set it from outside")
}

// Its processes are found all the same, and it still dies with the worker's thread.
//
//nolint:paralleltest // see TestCollectByMarker
func TestCollectCredential(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a run to somebody else")
	}
	s := marked(Spec{
		Path: "/bin/sh", Args: []string{"-c", detached + ";" + cleared + "\nsleep 0.05"}, Env: []string{"PATH=/usr/bin:/bin"},
		Limits: Limits{Credential: &Credential{UID: 65534, GID: 65534}},
	}, "w1", "credential")
	e := end(t, start(t, s), nil)
	require.GreaterOrEqual(t, e.Leftovers, 4)
	require.Zero(t, e.Alive)
}

// What the worker may not set is told before the first run.
func TestSettable(t *testing.T) {
	t.Parallel()
	const all = ^uint64(0)
	other := &Credential{UID: 54321, GID: 54321}
	for name, c := range map[string]struct {
		limits     Limits
		caps, hard uint64
		says       string
	}{
		"nothing asked for":     {Limits{Credential: other}, 0, 100, ""},
		"one's own user":        {Limits{NoFile: 100, Nice: 5}, 0, 100, ""},
		"beyond the hard limit": {Limits{NoFile: 101}, 0, 100, "more than the 100"},
		"beyond it, as root":    {Limits{NoFile: 101}, all, 100, ""},
		"another user":          {Limits{NoFile: 100, Nice: 5, Credential: other}, all, 100, ""},
		"no SYS_RESOURCE":       {Limits{NoFile: 10, Credential: other}, all &^ (1 << unix.CAP_SYS_RESOURCE), 100, "CAP_SYS_RESOURCE"},
		"no SYS_NICE":           {Limits{Nice: 1, Credential: other}, all &^ (1 << unix.CAP_SYS_NICE), 100, "CAP_SYS_NICE"},
	} {
		err := c.limits.settable(c.caps, c.hard)
		if c.says == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.says, name)
		}
	}
	require.NoError(t, Limits{NoFile: 10, Nice: 1, NoNewPrivs: true}.Settable())
	if os.Getuid() == 0 {
		// What it says holds: a run with these limits starts, or not.
		s := child("default")
		s.Path, s.Args, s.Env = "/bin/sleep", []string{"61"}, nil
		s.Limits = Limits{NoFile: 100, Nice: 1, Credential: other}
		p, err := Start(t.Context(), s)
		require.Equal(t, s.Limits.Settable() == nil, err == nil, "%v", err)
		if err == nil {
			p.Kill(nil)
		}
	}
}

func TestLimitsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]Limits{
		"negative memory": {MemoryMax: -1},
		"negative pids":   {PidsMax: -1},
		"nice":            {Nice: 20},
		"below zero":      {Nice: -1},
		"oom":             {OOMScoreAdj: 1001},
		"oom below zero":  {OOMScoreAdj: -1},
		"core":            {Core: -1},
		"nofile":          {NoFile: 1 << 62}, // beyond what the kernel can do at all
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := child("default")
			s.Limits = l
			_, err := Start(t.Context(), s)
			spawn := &SpawnError{}
			require.ErrorAs(t, err, &spawn)
			require.Equal(t, SpawnOther, spawn.Kind)
			if name == "nofile" {
				require.ErrorIs(t, err, syscall.EPERM)
			}
		})
	}
}
