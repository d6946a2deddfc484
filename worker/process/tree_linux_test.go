package process

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ways are the spawners a worker may end up with: with a group named by its
// leader's pidfd, and on older kernels by number.
func ways(t *testing.T, f func(t *testing.T, sp *spawner)) {
	t.Helper()
	t.Run("by pidfd", func(t *testing.T) {
		t.Parallel()
		if !groupByFDSupported() {
			t.Skip("this kernel cannot")
		}
		f(t, theSpawner())
	})
	t.Run("by number", func(t *testing.T) {
		t.Parallel()
		f(t, newSpawner(false))
	})
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 40} {
		t.Run(strconv.Itoa(count), func(t *testing.T) {
			t.Parallel()
			ways(t, func(t *testing.T, sp *spawner) {
				t.Helper()
				r := newRecorder()
				s := child("leaver", strconv.Itoa(count))
				s.Sink = r
				p, err := sp.start(t.Context(), s)
				require.NoError(t, err)
				begin := time.Now()
				e := end(t, p, r)
				require.Equal(t, "code 0", e.String())
				require.Positive(t, e.Leftovers)
				require.Zero(t, e.Alive)
				if sp.groupByFD {
					require.Equal(t, count, e.Leftovers)
				}
				require.Zero(t, groupMembers(p.PID()), "nothing of the group lives")
				require.Less(t, time.Since(begin), patience)
			})
		})
	}
}

// Somebody outside the group holds the output: a second, then Done.
func TestHeldOutput(t *testing.T) {
	t.Parallel()
	p, r := run(t, child("holder"))
	e := end(t, p, r)
	require.Equal(t, "code 0", e.String())
	require.Contains(t, r.all(), "left\n")
	took := time.Since(e.At)
	require.GreaterOrEqual(t, took, readWait)
	require.Less(t, took, readWait+20*time.Second)
}

// Somebody outside the group fills the output for ever.
func TestEndlessHolder(t *testing.T) {
	t.Parallel()
	s := Spec{Path: "/bin/sh", Args: []string{"-c", "setsid yes & echo left; exec sleep 0.2"}, Env: []string{"PATH=/usr/bin:/bin"}, Sink: nothing{}}
	p := start(t, s)
	e := end(t, p, nil)
	require.Less(t, time.Since(e.At), readWait+20*time.Second)
}

func TestStopByNumber(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, sp *spawner) {
		t.Helper()
		for program, want := range map[string]string{"default": "SIGTERM", "stopped": "SIGTERM", "emigrant": "SIGTERM", "deaf": "SIGKILL"} {
			r := newRecorder()
			s := child(program)
			s.Sink, s.Grace = r, time.Second
			p, err := sp.start(t.Context(), s)
			require.NoError(t, err)
			r.await(t, "ready")
			p.Stop(errFirst)
			require.Equal(t, want, end(t, p, r).String(), program)
		}
	})
}

// Without a pidfd a thread waits, and everything else is the same.
func TestWithoutPidfd(t *testing.T) {
	t.Parallel()
	pid, err := syscall.ForkExec(selfPath(), []string{"child"}, &syscall.ProcAttr{
		Env: []string{childVar + "=default"}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	require.NoError(t, err)
	l := newLeader(pid, -1, true)
	require.False(t, l.groupByFD)
	require.False(t, l.ended())
	require.NoError(t, l.signalGroup(syscall.SIGKILL))
	l.awaitEnd()
	require.True(t, l.ended())
	l.beforeReap()
	status, ok := l.reap()
	require.True(t, ok)
	require.True(t, status.Signaled())
	require.True(t, l.groupGone())
	_, ok = l.reap()
	require.False(t, ok, "the status is taken once")
	l.close()
}

func TestNeverEverybody(t *testing.T) {
	t.Parallel()
	for _, pid := range []int{1, 0, -1, -7} {
		for _, group := range []bool{true, false} {
			require.ErrorIs(t, signalNumber(pid, group, 0), syscall.EPERM)
		}
	}
}

// A subprocess dies when the thread that made it ends, so no thread that ends
// may have made it. The locked goroutines here end without unlocking, which is
// how Go ends a thread, and there are enough of them to use up every thread
// that an unlocked spawner could have run on.
//
//nolint:paralleltest // it ends threads that others may run on
func TestThreadsMayEnd(t *testing.T) {
	const count = 8
	var live []*Process
	for range count {
		started := make(chan struct{})
		go func() { // from a thread that ends too
			defer close(started)
			runtime.LockOSThread()
			p, r := run(t, child("deaf"))
			live = append(live, p)
			r.await(t, "ready")
		}()
		<-started
		endThreads(50)
	}
	endThreads(500)
	for _, p := range live {
		select {
		case <-p.Done():
			t.Fatalf("%v: an unrelated thread's end killed it", p.Exit())
		default:
		}
		p.Kill(nil)
		end(t, p, nil)
	}
}

// The test above proves nothing unless such an end does kill: here is a subprocess
// that was made by a thread that then ends.
//
//nolint:paralleltest // as above
func TestThreadsThatEndKill(t *testing.T) {
	made := make(chan *os.Process)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		p, err := os.StartProcess("/bin/sleep", []string{"sleep", "61"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}})
		if err != nil {
			t.Error(err)
		}
		made <- p
	}()
	p := <-made
	require.NotNil(t, p)
	state, err := p.Wait()
	require.NoError(t, err)
	require.Equal(t, "signal: killed", state.String())
}

func endThreads(n int) {
	for range n / 10 {
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(runtime.LockOSThread)
		}
		wg.Wait()
	}
}

// The worker is killed: its subprocess must not outlive it.
func TestDeathWithWorker(t *testing.T) {
	t.Parallel()
	p, r := run(t, child("worker"))
	grandchild, err := strconv.Atoi(strings.TrimPrefix(r.next(t), "pid "))
	require.NoError(t, err)
	require.NotEqual(t, byte(0), stateOf(grandchild))
	require.NoError(t, syscall.Kill(p.PID(), syscall.SIGKILL)) // it alone: the other is in a group of its own
	require.Eventually(t, func() bool { s := stateOf(grandchild); return s == 0 || s == 'Z' }, patience, time.Millisecond)
	end(t, p, r)
}

//nolint:paralleltest // it counts this process' goroutines and descriptors
func TestNothingLeaks(t *testing.T) {
	settle := func() (goroutines, files int) {
		runtime.GC()
		names, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return runtime.NumGoroutine(), len(names)
	}
	once := func(i int) {
		s := Spec{Path: "/bin/sh", Args: []string{"-c", "echo a; echo b >&2; exit 3"}, Sink: nothing{}, Stdin: make([]byte, (i%3)*40<<10)}
		if i%50 == 7 {
			s.Path = "/nowhere"
		}
		p, err := Start(t.Context(), s)
		if err != nil {
			require.True(t, errors.Is(err, syscall.ENOENT) && i%50 == 7)
			return
		}
		if i%10 == 0 {
			p.Stop(nil)
		}
		<-p.Done()
	}
	for i := range 10 {
		once(i)
	}
	goroutines, files := settle()
	var wg sync.WaitGroup
	for part := range 3 {
		wg.Go(func() {
			for i := range 100 {
				once(part*100 + i)
			}
		})
	}
	wg.Wait()
	g, f := settle()
	for end := time.Now().Add(patience); (g > goroutines || f > files) && time.Now().Before(end); g, f = settle() {
		runtime.Gosched()
	}
	require.LessOrEqual(t, g, goroutines, "goroutines")
	require.LessOrEqual(t, f, files, "descriptors")
}

func TestConfined(t *testing.T) {
	t.Parallel()
	p, r := run(t, child("default"))
	r.await(t, "ready")
	score, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/oom_score_adj")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(DefaultOOMScore), strings.TrimSpace(string(score)))
	var limit unix.Rlimit
	require.NoError(t, unix.Prlimit(p.PID(), unix.RLIMIT_CORE, nil, &limit))
	require.Zero(t, limit.Max)
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " 5 0 -1 0 1 2 3 4 5 6 7 8 20 0 3 0 987654 9 9"
	for line, want := range map[string]struct {
		stat
		ok bool
	}{
		"7 (sh) S 1 42" + rest:        {stat{'S', 1, 42, 3, 987654}, true},
		"7 (a) b) R 1) Z 2 43" + rest: {stat{'Z', 2, 43, 3, 987654}, true},
		"7 () R 1 44" + rest:          {stat{'R', 1, 44, 3, 987654}, true},
		"7 (sh) S 1 x" + rest:         {},
		"7 (sh) S 1 42 5":             {},
		"":                            {},
		"7 (sh":                       {},
	} {
		st, ok := parseStat([]byte(line))
		require.Equal(t, want.ok, ok, line)
		if ok {
			require.Equal(t, want.stat, st, line)
		}
	}
	require.True(t, stat{state: 'Z', threads: 1}.over())
	require.False(t, stat{state: 'Z', threads: 2}.over(), "its other threads run")
}
