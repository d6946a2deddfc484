//go:build linux

package supervisor

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const patience = 60 * time.Second // for what takes milliseconds where nothing else runs

// fixture is a supervisor with its worker.
type fixture struct {
	t          *testing.T
	cmd        *exec.Cmd
	in         io.WriteCloser
	stderr     *bytes.Buffer
	supervisor *watched
	worker     *watched
	ended      chan int // the supervisor's exit code, -signal when it was killed

	mu    sync.Mutex
	lines []string
	news  chan struct{} // closed and made anew with every line
}

// watched is a process that a test looks at: by a pidfd, so that it is always this one.
type watched struct {
	pid int
	fd  int
}

func watch(t *testing.T, pid int) *watched {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	require.NoError(t, err, "process %d has gone before anybody looked", pid)
	t.Cleanup(func() {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		_ = unix.Close(fd)
	})
	return &watched{pid: pid, fd: fd}
}

// goneWithin says whether the process ends within d.
func (w *watched) goneWithin(d time.Duration) bool {
	for end := time.Now().Add(d); ; {
		fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		left := max(time.Until(end), 0)
		n, err := unix.Poll(fds, int((left+time.Millisecond-1)/time.Millisecond))
		if err == nil {
			return n > 0
		}
	}
}

func (w *watched) signal(sig unix.Signal) { _ = unix.PidfdSendSignal(w.fd, sig, nil, 0) }

// begin starts a supervisor; changed may change how.
func begin(t *testing.T, changed func(*exec.Cmd)) *fixture {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	f := &fixture{t: t, news: make(chan struct{}), stderr: &bytes.Buffer{}, ended: make(chan int, 1)}
	f.cmd = exec.CommandContext(t.Context(), self, roleMain)
	f.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "SECRET=hush")
	f.cmd.Stderr = f.stderr
	f.cmd.WaitDelay = time.Second
	f.in, err = f.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := f.cmd.StdoutPipe()
	require.NoError(t, err)
	if changed != nil {
		changed(f.cmd)
	}
	require.NoError(t, f.cmd.Start())
	f.supervisor = watch(t, f.cmd.Process.Pid)
	read := make(chan struct{})
	go func() { defer close(read); f.read(out) }()
	go func() {
		f.supervisor.goneWithin(time.Hour)
		select { // Wait closes the pipe, also on lines that are not read yet
		case <-read:
		case <-time.After(time.Second): // who outlived the supervisor holds it
		}
		_ = f.cmd.Wait()
		if s := f.cmd.ProcessState; s.Exited() {
			f.ended <- s.ExitCode()
		} else {
			f.ended <- -1
		}
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("stderr: %s\nlines left: %q", f.stderr, f.rest())
		}
	})
	return f
}

// ready waits for the worker.
func (f *fixture) ready() *fixture {
	f.t.Helper()
	var pid, parent int
	_, err := fmt.Sscanf(f.await("worker "), "%d parent %d", &pid, &parent)
	require.NoError(f.t, err)
	f.worker = watch(f.t, pid)
	return f
}

func started(t *testing.T) *fixture {
	t.Helper()
	return begin(t, nil).ready()
}

func (f *fixture) read(out io.Reader) {
	for s := bufio.NewScanner(out); s.Scan(); {
		f.mu.Lock()
		f.lines = append(f.lines, s.Text())
		close(f.news)
		f.news = make(chan struct{})
		f.mu.Unlock()
	}
}

func (f *fixture) rest() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lines
}

// await answers what follows the prefix in the first line that has it, and takes
// the line out.
func (f *fixture) await(prefix string) string {
	f.t.Helper()
	late := time.After(patience)
	for {
		f.mu.Lock()
		for i, line := range f.lines {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				f.lines = append(f.lines[:i:i], f.lines[i+1:]...)
				f.mu.Unlock()
				return rest
			}
		}
		news := f.news
		f.mu.Unlock()
		select {
		case <-news:
		case <-late:
			f.t.Fatalf("no line %q came; there are %q, and on stderr: %s", prefix, f.rest(), f.stderr)
		}
	}
}

func (f *fixture) tell(format string, args ...any) {
	f.t.Helper()
	_, err := fmt.Fprintf(f.in, format+"\n", args...)
	require.NoError(f.t, err)
}

// who waits for a process to tell its pid: `up`, `daemon` or `tool` of a run.
func (f *fixture) who(what, id string) *watched {
	f.t.Helper()
	pid, err := strconv.Atoi(f.await(what + " " + id + " "))
	require.NoError(f.t, err)
	return watch(f.t, pid)
}

// run has the worker start a run and waits for its main process.
func (f *fixture) run(id string, d time.Duration, script string) *watched {
	f.t.Helper()
	f.tell("run %s %d %s", id, d.Milliseconds(), script)
	require.Equal(f.t, "<nil>", f.await("opened "+id+" "))
	require.Equal(f.t, "<nil>", f.await("spawned "+id+" "))
	return f.who("up", id)
}

// code waits for the end of the supervisor.
func (f *fixture) code() int {
	f.t.Helper()
	select {
	case code := <-f.ended:
		return code
	case <-time.After(patience):
		f.t.Fatal("the supervisor does not end")
		return 0
	}
}

// allGone requires the end of every process within d from now, and answers how long it took.
func allGone(t *testing.T, d time.Duration, list []*watched) time.Duration {
	t.Helper()
	begin := time.Now()
	alive := 0
	for _, w := range list {
		if !w.goneWithin(d - time.Since(begin)) {
			alive++
		}
	}
	require.Zero(t, alive, "still alive after %s, of %d", d, len(list))
	return time.Since(begin)
}

func requireAlive(t *testing.T, w *watched, d time.Duration, why string) {
	t.Helper()
	require.False(t, w.goneWithin(d), why)
}
