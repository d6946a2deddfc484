package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// childVar makes the test binary one of the hostile programs below.
const childVar = "PROCESS_TEST_CHILD"

// raceFast spares the children the second that the race detector sleeps at exit.
const raceFast = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	if os.Getpid() == 1 && os.Getenv(machineVar) != "" {
		bootMachine()
	}
	if name := os.Getenv(childVar); name != "" {
		all := programs()
		maps.Copy(all, linuxPrograms())
		program, ok := all[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such program:", name)
			os.Exit(99)
		}
		program(os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// programs are what the tests run. Each says "ready" once it is what its name
// says, where that takes time.
func programs() map[string]func(args []string) {
	return map[string]func(args []string){
		"exit": func(args []string) {
			code, _ := strconv.Atoi(args[0])
			os.Exit(code)
		},
		"die": func(args []string) {
			sig, _ := strconv.Atoi(args[0])
			_ = syscall.Kill(os.Getpid(), syscall.Signal(sig))
			forever()
		},
		"env":     func([]string) { fmt.Println(strings.Join(os.Environ(), "\n")) },
		"fds":     printFDs,
		"cwd":     func([]string) { wd, _ := os.Getwd(); fmt.Println(wd) },
		"default": func([]string) { ready(); forever() },
		"trap": func([]string) {
			c := make(chan os.Signal, 1)
			signal.Notify(c, syscall.SIGTERM)
			ready()
			<-c
			os.Exit(143)
		},
		"deaf": func([]string) {
			signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
			ready()
			forever()
		},
		"stopped": func([]string) {
			ready()
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			forever()
		},
		"longline": func([]string) { // 3 MiB, then a short line
			_, _ = os.Stdout.Write(bytes.Repeat([]byte("x"), 3<<20))
			fmt.Print("\nshort\n")
		},
		"flood": func(args []string) {
			n, _ := strconv.Atoi(args[0])
			block := bytes.Repeat([]byte("0123456789abcde\n"), 4<<10)
			for ; n > 0; n -= len(block) {
				_, _ = os.Stdout.Write(block[:min(n, len(block))])
			}
		},
		"stderr": func(args []string) {
			fmt.Fprint(os.Stderr, strings.Join(args, ""))
			os.Exit(1)
		},
		"drip": func([]string) { // something without a newline, then waits
			fmt.Print(dripped)
			forever()
		},
		"deafstdin": func([]string) { os.Exit(7) }, // never reads
		"cat":       func([]string) { _, _ = io.Copy(os.Stdout, os.Stdin) },
		"closed": func([]string) {
			_ = os.Stdout.Close()
			_ = os.Stderr.Close()
			time.Sleep(300 * time.Millisecond)
			os.Exit(5)
		},
		"holder": func([]string) { // a process in a session of its own holds stdout
			spawnSelf("default", true, true)
			fmt.Println("left")
		},
		"leaver": func(args []string) { // so many in its own group, holding nothing
			n, _ := strconv.Atoi(args[0])
			for range n {
				spawnSelf("deaf", false, false)
			}
			fmt.Println("left")
		},
		"emigrant": func([]string) { // main process moves to its parent's group
			_ = syscall.Setpgid(0, parentGroup())
			ready()
			forever()
		},
		"heir": func([]string) { // was started with descriptor 3, runs ls
			r := newRecorder()
			p, err := Start(context.Background(), Spec{Path: "/bin/ls", Args: []string{"/proc/self/fd"}, Stdin: []byte("x"), Sink: r})
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			<-p.Done()
			fmt.Print(r.all())
		},
		"worker": func([]string) { // starts one child and says its pid
			s, r := child("deaf"), newRecorder()
			s.Sink = r
			p, err := Start(context.Background(), s)
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			<-r.lines // it writes no more: a broken pipe must not be what ends it
			fmt.Println("pid", p.PID())
			forever()
		},
	}
}

// dripped needs more than a small buffer.
var dripped = strings.Repeat("ab", smallBuffer) //nolint:gochecknoglobals // a constant

func ready() { fmt.Println("ready") }

func forever() {
	time.Sleep(time.Minute) // a test that went wrong leaves nothing for long
	os.Exit(98)
}

func printFDs([]string) {
	for fd := range 256 {
		var st syscall.Stat_t
		if syscall.Fstat(fd, &st) == nil {
			fmt.Println(fd)
		}
	}
}

func spawnSelf(name string, ownSession, holdOutput bool) {
	cmd := exec.CommandContext(context.Background(), selfPath())
	cmd.Env = []string{childVar + "=" + name}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: ownSession}
	if holdOutput {
		cmd.Stdout = os.Stdout
	}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		os.Exit(97)
	}
}

func parentGroup() int {
	pgid, err := syscall.Getpgid(os.Getppid())
	if err != nil {
		os.Exit(96)
	}
	return pgid
}

func selfPath() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
}

// child is a Spec that runs one of the programs.
func child(name string, args ...string) Spec {
	return Spec{Path: selfPath(), Args: args, Env: []string{childVar + "=" + name, raceFast}, Grace: time.Minute}
}

// start runs a Spec and sees to it that nothing is left of it.
func start(t *testing.T, s Spec) *Process {
	t.Helper()
	p, err := Start(t.Context(), s)
	require.NoError(t, err)
	t.Cleanup(func() { p.Kill(nil); <-p.Done() })
	return p
}
