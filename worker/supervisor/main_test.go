//go:build linux

package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is the program under test as well: with one of these as its
// first argument it is not the tests. Arguments and not variables, because some
// of the programs have no environment.
const (
	roleMain  = "role:main"  // Main, and then a worker that obeys its standard input
	roleSweep = "role:sweep" // one round of a sweep, see TestSweepHearsTheWorkerFirst
	roleInit  = "role:init"  // mounts /proc and becomes roleMain, as PID 1
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case roleInit:
			becomeInit()
		case roleReuse:
			reuseNumber()
			os.Exit(0)
		case roleSweep:
			sweepOnce()
			os.Exit(0)
		case roleMain:
			code, was := Main(Options{Err: os.Stderr})
			if !was {
				code = obey()
			}
			os.Exit(code)
		}
	}
	os.Exit(m.Run())
}

// mountProc gives PID 1 of a fresh PID namespace, in a fresh mount namespace,
// its /proc.
func mountProc() bool {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		fmt.Println("no mount:", err)
		return false
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		fmt.Println("no /proc:", err)
		return false
	}
	return true
}

// becomeInit is that PID 1.
func becomeInit() {
	if !mountProc() {
		os.Exit(90)
	}
	fmt.Println("failed:", syscall.Exec("/proc/self/exe", []string{os.Args[0], roleMain}, os.Environ()))
	os.Exit(90)
}

// testWorker is a worker that does what its standard input says and tells on
// its standard output what happens.
type testWorker struct {
	c    *Client
	pids map[string]int
}

// What a run is: a shell script, its id being $1.
var scripts = map[string]string{ //nolint:gochecknoglobals // a table
	// Waits to be killed.
	"sleeper": `echo "up $1 $$"; exec sleep 60`,
	// Leaves somebody behind in a session of its own, double-forked, without an
	// environment; then waits.
	"daemon": `(env -i setsid sh -c 'echo "daemon $1 $$"; exec sleep 60' x "$1" &); echo "up $1 $$"; exec sleep 60`,
	// The same, and ends.
	"leaver": `(env -i setsid sh -c 'echo "daemon $1 $$"; exec sleep 60' x "$1" &); exit 7`,
	// Has a child in a session of its own, as every agent CLI has.
	"shell": `setsid sh -c 'echo "tool $1 $$"; sleep 60; :' x "$1" & echo "up $1 $$"; wait`,
	// Tells who it is and how, then waits.
	"spy": `echo "ls $(ls -l /proc/self/fd | grep -c socket)"; for p in $2 $3; do if cat /proc/$p/environ >/dev/null 2>&1; then echo "read $p"; else echo "refused $p"; fi; done; echo "up $1 $$"; exec sleep 60`,
	// Has a tool shell with a double-forked child in the same session.
	"deep": `setsid sh -c '(sh -c "echo deep \$0 \$\$; exec sleep 60" "$1" &); echo "tool $1 $$"; sleep 60; :' x "$1" & echo "up $1 $$"; wait`,
	// Replaces itself over and over, each time in a new session, orphaned; writes
	// its number into the file $2, 300 times at most.
	"chain": `S='echo $$ >>"$2"; [ $(wc -l <"$2") -ge 300 ] || (setsid sh -c "$1" x "$1" "$2" &); sleep 0.05'; sh -c "$S" x "$S" "$2" & echo "up $1 $$"; exec sleep 60`,
	"true":  `exit 7`,
	// As true, but leaves an orphan that ends soon.
	"orphaner": `(sleep 0.01 &); exit 7`,
}

func obey() int {
	c, err := Connect()
	if err != nil {
		fmt.Println("connect failed:", err)
		return 91
	}
	runtime.LockOSThread() // it forks, see Pdeathsig
	w := &testWorker{c: c, pids: map[string]int{}}
	if c != nil {
		go func() {
			for o := range c.Orders() {
				fmt.Println("order", o)
			}
		}()
		go c.Guard(func() { fmt.Println("gone") })
	}
	_, inEnv := os.LookupEnv(fdVar)
	fmt.Println("worker", os.Getpid(), "parent", os.Getppid(), "supervised", c != nil, "var", inEnv)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		f := strings.Fields(in.Text())
		if f[0] == "exit" {
			code, _ := strconv.Atoi(f[1])
			c.Finish()
			return code
		}
		w.do(f)
	}
	if c != nil {
		select {} // only Guard ends it
	}
	return 92
}

func (w *testWorker) do(f []string) {
	after := func(ms string) int64 {
		n, _ := strconv.Atoi(ms)
		return bootNow() + int64(n)*int64(time.Millisecond)
	}
	switch f[0] {
	case "run": // id ms script args
		w.say("opened", f[1], w.c.Open(f[1], after(f[2])))
		w.spawn(f[1], f[3], f[4:]...)
	case "open": // id ms
		w.say("opened", f[1], w.c.Open(f[1], after(f[2])))
	case "spawn": // id script
		w.spawn(f[1], f[2])
	case "nofd": // id ms: as run, but the pidfd is lost
		_ = w.c.Open(f[1], after(f[2]))
		pid, _ := w.fork(f[1], "sleeper")
		w.say("spawned", f[1], w.c.Spawned(f[1], pid, -1))
	case "renew": // id ms
		w.say("renewed", f[1], w.c.Renew(f[1], after(f[2])))
	case "close": // id: kills its main process alone, and closes
		pid := w.pids[f[1]]
		_ = syscall.Kill(pid, syscall.SIGKILL)
		_, _ = syscall.Wait4(pid, nil, 0, nil)
		w.say("closed", f[1], w.c.Close(f[1]))
	case "end": // id: waits for the end of its main process
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(w.pids[f[1]], &status, 0, nil); err != nil {
			fmt.Println("ended", f[1], "reaped")
		} else {
			fmt.Println("ended", f[1], unix.SignalName(status.Signal()))
		}
	case "stray": // id: a fork that nobody announced, without a pidfd
		pid, _ := w.fork(f[1], "sleeper")
		w.say("spawned", f[1], w.c.Spawned(f[1], pid, -1))
	case "race": // id: it ends between the fork and Spawned, and the reaper looks just then
		_ = w.c.Open(f[1], after("60000"))
		pid, pidfd := w.fork(f[1], "true")
		_ = unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		looked := w.c.reapOrphans()
		_ = w.c.Spawned(f[1], pid, pidfd)
		_ = w.c.reapOrphans()
		var status syscall.WaitStatus
		got, _ := syscall.Wait4(pid, &status, 0, nil)
		fmt.Println("raced", looked, got == pid, status.ExitStatus())
		_ = w.c.Close(f[1])
	case "churn": // n script
		n, _ := strconv.Atoi(f[1])
		fmt.Println("churned", w.churn(n, f[2]))
	case "hangup":
		_ = w.c.file.Close()
	case "freeze": // between the announcement and the fork: id ms script
		_ = w.c.Open(f[1], after(f[2]))
		fmt.Println("freezing")
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		w.spawn(f[1], f[3])
	case "zombies":
		n := 0
		for _, p := range newTree().under(os.Getppid()) {
			if p.dead {
				n++
			}
		}
		fmt.Println("zombies", n)
	}
}

func (w *testWorker) say(what, id string, err error) { fmt.Println(what, id, err) }

func (w *testWorker) fork(id, script string, args ...string) (pid, pidfd int) {
	pid, err := syscall.ForkExec("/bin/sh", append([]string{"sh", "-c", scripts[script], "sh", id}, args...), &syscall.ProcAttr{
		Env:   []string{"PATH=" + os.Getenv("PATH")},
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, PidFD: &pidfd},
	})
	if err != nil {
		fmt.Println("fork failed:", err)
		os.Exit(93)
	}
	w.pids[id] = pid
	return pid, pidfd
}

func (w *testWorker) spawn(id, script string, args ...string) {
	pid, pidfd := w.fork(id, script, args...)
	w.say("spawned", id, w.c.Spawned(id, pid, pidfd))
	_ = unix.Close(pidfd)
}

// churn runs n short ones, one after the other, and answers how many ended as they should.
func (w *testWorker) churn(n int, script string) string {
	right := 0
	for i := range n {
		id := "churn" + strconv.Itoa(i)
		if w.c.Open(id, bootNow()+int64(time.Minute)) != nil {
			return "refused"
		}
		pid, pidfd := w.fork(id, script)
		_ = w.c.Spawned(id, pid, pidfd)
		_ = unix.Close(pidfd)
		var status syscall.WaitStatus
		got, err := syscall.Wait4(pid, &status, 0, nil)
		for err == syscall.EINTR { //nolint:errorlint // a test
			got, err = syscall.Wait4(pid, &status, 0, nil)
		}
		if got == pid && status.ExitStatus() == 7 {
			right++
		}
		_ = w.c.Close(id)
	}
	return fmt.Sprint(right, " of ", n)
}

// sweepOnce lets a supervisor's state look at a process that is announced in
// its socket and not heard of yet, and then at one that is closed.
func sweepOnce() {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := &supervisor{say: sayer(os.Stdout), sock: pair[0], tree: newTree(), runs: map[string]*run{}, worker: worker{pidfd: -1}}
	send := func(m message) {
		b, _ := m.encode()
		_, _ = unix.Write(pair[1], b)
	}
	child := exec.CommandContext(context.Background(), "/bin/sleep", "60")
	if err := child.Start(); err != nil {
		fmt.Println(err)
		return
	}
	p, _ := look(child.Process.Pid)
	for _, m := range []message{{kind: kindOpen, id: "a", deadline: bootNow() + int64(time.Minute)}, {kind: kindClose, id: "a"}} {
		s.hearWorker() // as the loop does
		send(m)
		if m.kind == kindClose {
			s.hearWorker()
		}
		s.chase.sweepNow()
		s.sweepRound(time.Now())
		fds := []unix.PollFd{{Fd: pidfdOf(p.pid), Events: unix.POLLIN}}
		n, _ := unix.Poll(fds, 200)
		fmt.Println("swept", n == 1)
	}
}

func pidfdOf(pid int) int32 {
	fd, _ := unix.PidfdOpen(pid, 0)
	return int32(fd)
}

func copySelf(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "supervisor") //nolint:usetesting // t.TempDir is for this user only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "supervisor.test")
	syscall.ForkLock.RLock()              // a child that inherits the open file would make it "text file busy"
	err = os.WriteFile(path, self, 0o755) //nolint:gosec // others shall run it
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the same
		t.Fatal(err)
	}
	return path
}
