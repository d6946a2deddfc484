package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// someCgroups are this process' own, where it can have any.
func someCgroups(t *testing.T, id string) *Cgroups {
	t.Helper()
	c, err := ProbeCgroups(CgroupOptions{Worker: id})
	if err != nil {
		c = mountedCgroups(t, id, err)
	}
	t.Cleanup(func() {
		for _, d := range cgroupsIn(c.dir) {
			_ = control(d, "cgroup.kill", "1")
		}
		require.Eventually(t, func() bool { return c.Close() == nil }, patience, time.Millisecond)
	})
	return c
}

// mountedCgroups mounts a cgroup v2 where the system has not.
func mountedCgroups(t *testing.T, id string, why error) *Cgroups {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "cgroup2", 0, ""); err != nil {
		t.Skipf("no cgroup v2 to be had here: %v; mounting one: %v", why, err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	c, err := ProbeCgroups(CgroupOptions{Worker: id})
	if err != nil {
		t.Skipf("no cgroup v2 to be had here, even with one mounted: %v", err)
	}
	return c
}

func TestCollectByCgroup(t *testing.T) {
	t.Parallel()
	c := someCgroups(t, "w1")
	all := hostile(t)
	all["naked"] = naked
	for name, text := range all {
		for how, rest := range map[string]string{"ended": "sleep 0.03; exit 0", "killed": "sleep 0.03; echo ready; exec sleep 61"} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				if name == "naked" {
					mustLook(t, "prlimit")
				}
				w := newWitness(t)
				s := w.script(text + "\n" + rest)
				s.Cgroups = c
				p, r := run(t, s)
				if how == "killed" {
					r.await(t, "ready")
					p.Kill(nil)
				}
				e := requireClean(t, w, p)
				require.Equal(t, map[string]string{"ended": "code 0", "killed": "SIGKILL"}[how], e.String())
				require.NoDirExists(t, p.Cgroup())
				require.Less(t, time.Since(e.At), collectWait+readWait)
				require.Equal(t, NoOOM, e.OOM)
			})
		}
	}
}

// A run that makes cgroups of its own, and one that hides in them.
func TestCollectNestedCgroups(t *testing.T) {
	t.Parallel()
	c := someCgroups(t, "w2")
	w := newWitness(t)
	s := w.script(`own=$0; mkdir -p $own/a/b $own/c
sh -c "echo \$\$ > $own/a/b/cgroup.procs; exec sleep 61" >/dev/null 2>&1 &
sleep 0.1; exit 0`)
	s.Args = append(s.Args, filepath.Join(c.dir, runBegin+strconv.FormatUint(c.last.Load()+1, 10)))
	s.Cgroups = c
	p := start(t, s)
	require.Positive(t, requireClean(t, w, p).Leftovers)
	require.NoDirExists(t, p.cgroup.dir)
}

// One that moves out of its cgroup still has its token.
//
//nolint:paralleltest // see TestCollectByMarker
func TestCollectEscaped(t *testing.T) {
	c := someCgroups(t, "w3")
	w := newWitness(t)
	s := marked(w.script(`( env -i own=$0 setsid /bin/sh -c 'echo $$ > $own/cgroup.procs; sleep 61' </dev/null >/dev/null 2>&1 & ) ; sleep 0.1`), "w3", "escaped")
	s.Args = append(s.Args, filepath.Dir(c.dir))
	s.Cgroups = c
	p := start(t, s)
	require.Positive(t, requireClean(t, w, p).Leftovers)
}

// The worker's cgroup is tidied up by somebody while nothing runs.
func TestCgroupsRemade(t *testing.T) {
	t.Parallel()
	c := someCgroups(t, "w4")
	require.NoError(t, c.Close())
	s := child("exit", "0")
	s.Cgroups = c
	p, r := run(t, s)
	require.Equal(t, "code 0", end(t, p, r).String())
	s.Path = "/nowhere/program"
	_, err := Start(t.Context(), s)
	require.ErrorIs(t, err, unix.ENOENT)
	names, err := filepath.Glob(c.dir + "/run-*")
	require.NoError(t, err)
	require.Empty(t, names, "a failed start leaves no cgroup")
}

// Controllers are handed on where this machine has them for us: what a run may
// use is bounded then.
//
//nolint:paralleltest // it moves a process between cgroups
func TestLimitsOfARun(t *testing.T) {
	base := someCgroups(t, "w5")
	text, err := os.ReadFile(filepath.Join(filepath.Dir(base.dir), "cgroup.subtree_control"))
	require.NoError(t, err)
	have := strings.Fields(string(text))
	if len(have) == 0 {
		t.Skip("no controller is handed on to this process' cgroup v2: nothing to limit with")
	}
	out, err := selfCommand(t, "limited", base.dir, have[len(have)-1]).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "handed on: "+have[len(have)-1])
}

// A worker that was moved into the leaf, by itself or by its service manager,
// makes runs' cgroups beside the leaf.
//
//nolint:paralleltest // it moves a process between cgroups
func TestLeaf(t *testing.T) {
	base := someCgroups(t, "w6")
	out, err := selfCommand(t, "moved", base.dir).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "beside it: true\ncode 0\n", string(out))
}

func TestLimitsNeedControllers(t *testing.T) {
	t.Parallel()
	for _, l := range []Limits{{MemoryMax: 1 << 30}, {PidsMax: 100}} {
		for _, c := range []*Cgroups{nil, {}, {controllers: map[string]error{"memory": unix.EBUSY, "pids": unix.EBUSY}}} {
			s := child("exit", "0")
			s.Limits, s.Cgroups = l, c
			_, err := Start(t.Context(), s)
			require.ErrorIs(t, err, ErrNoLimits)
			require.ErrorContains(t, err, "Delegate=yes", "what to do")
		}
		require.NoError(t, (&Cgroups{controllers: map[string]error{"memory": nil, "pids": nil}}).Check(l))
	}
}

// A process that dies because somebody else was out of memory is not blamed on
// the run's own limit.
func TestOOM(t *testing.T) {
	t.Parallel()
	const dead, none = "low 0\nhigh 0\nmax 5\noom 1\noom_kill 12\noom_group_kill 3\n", "max 0\noom 0\noom_kill 0\n"
	for name, c := range map[string]struct {
		limited       bool
		events, local string // "": no such file
		want          OOM
	}{
		"nobody":                  {true, none, none, NoOOM},
		"at its limit, none dead": {true, "oom 3\noom_kill 0\n", "oom 3\noom_kill 0\n", NoOOM},
		"its own":                 {true, dead, dead, OOMOwn},
		"the host's":              {true, "oom 0\noom_kill 1\n", "oom 0\noom_kill 1\n", OOMOther},
		"one below, of its own":   {true, dead, none, OOMOther},
		"without a limit":         {false, dead, dead, OOMOther},
		"an old kernel":           {true, dead, "", OOMOwn},
		"no controller":           {true, "", "", NoOOM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &runCgroup{dir: t.TempDir(), memory: true, limited: c.limited}
			for file, text := range map[string]string{"memory.events": c.events, "memory.events.local": c.local} {
				if text != "" {
					require.NoError(t, os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0o600))
				}
			}
			require.Equal(t, c.want, g.oom())
		})
	}
	require.Equal(t, NoOOM, (*runCgroup)(nil).oom())
}

func TestOwnCgroup(t *testing.T) {
	t.Parallel()
	const v1 = "30 29 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
	for name, c := range map[string]struct{ membership, mounts, want string }{
		"systemd":      {"0::/system.slice/curfew.service\n", "29 1 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/system.slice/curfew.service"},
		"namespace":    {"0::/\n", "29 1 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "/sys/fs/cgroup"},
		"hybrid":       {"8:pids:/x\n0::/y\n", v1 + "31 29 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified/y"},
		"bind mount":   {"0::/docker/abc/x\n", "29 1 0:25 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "/sys/fs/cgroup/x"},
		"blanks":       {"0::/a b\n", `29 1 0:25 / /mnt/c\040g rw - cgroup2 cgroup rw` + "\n", "/mnt/c g/a b"},
		"read-only":    {"0::/\n", "29 1 0:25 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n", ""},
		"elsewhere":    {"0::/docker/abcd\n", "29 1 0:25 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n", ""},
		"out of sight": {"0::/../x\n", "29 1 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", ""},
		"v1 only":      {"8:pids:/x\n", v1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup"), []byte(c.membership), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "mountinfo"), []byte(c.mounts), 0o600))
			got, err := ownCgroup(filepath.Join(dir, "cgroup"), filepath.Join(dir, "mountinfo"))
			require.Equal(t, c.want, got)
			require.Equal(t, c.want == "", err != nil)
		})
	}
}
