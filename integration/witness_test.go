package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	witnessEnv    = "WITNESS_JOURNAL" // folder of journals and locks; its presence makes this binary the witness
	witnessScript = "WITNESS_SCRIPT"  // directives of the agent, obeyed before those of the prompt; ";" separates
	witnessDeaf   = "WITNESS_DEAF"    // it never reads its standard input
	confusedExit  = 98                // the script could not be understood: a mistake in the test
	overlapExit   = 97
)

// witness is the agent of all scenarios: it proves that it was alone, says when it began and ended, and does as told.
func witness() int {
	a := &agentProcess{dir: os.Getenv(witnessEnv), self: entry{
		Session: os.Getenv("CURFEW_SESSION"), Job: os.Getenv("CURFEW_JOB"), Worker: os.Getenv("CURFEW_WORKER"), PID: os.Getpid(),
	}}
	a.self.Attempt, _ = strconv.Atoi(os.Getenv("CURFEW_ATTEMPT"))
	a.self.Fence, _ = strconv.ParseUint(os.Getenv("CURFEW_FENCE"), 10, 64)

	if err := os.MkdirAll(a.dir, 0o700); err != nil { // in a container nobody else has made it
		fmt.Fprintln(os.Stderr, "witness:", err)
		return confusedExit
	}
	lock, err := os.OpenFile(filepath.Join(a.dir, a.self.Session+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return a.confused(err)
	}
	a.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			a.note(kindOverlap, func(e *entry) { e.Note = "another witness of the session is alive" })
			return overlapExit
		}
		return a.confused(err)
	}
	a.note(kindStart, nil)

	prompt, err := a.readPrompt()
	if err != nil {
		return a.confused(err)
	}

	text := strings.ReplaceAll(os.Getenv(witnessScript), ";", "\n") + "\n"
	if rest, ok := bytes.CutPrefix(prompt, []byte(scriptMark)); ok {
		text += string(rest)
	}
	todo, err := parseScript(text)
	if err != nil {
		return a.confused(err)
	}
	for _, d := range todo {
		if !d.applies(a.self.Attempt) {
			continue
		}
		if code, over := a.do(d); over {
			return a.end(code)
		}
	}
	return a.end(0)
}

type agentProcess struct {
	dir  string
	self entry
	sum  string
	lock *os.File // open until the process is gone
}

func (a *agentProcess) readPrompt() ([]byte, error) {
	if os.Getenv(witnessDeaf) != "" {
		return nil, nil
	}
	prompt, err := io.ReadAll(os.Stdin)
	sum := sha256.Sum256(prompt)
	a.sum = hex.EncodeToString(sum[:])
	return prompt, err
}

func (a *agentProcess) note(kind string, set func(*entry)) {
	e := a.self
	e.Kind, e.At = kind, time.Now()
	if set != nil {
		set(&e)
	}
	if err := appendEntry(a.dir, e); err != nil {
		fmt.Fprintln(os.Stderr, "witness: journal:", err)
		os.Exit(confusedExit)
	}
}

func (a *agentProcess) end(code int) int {
	a.note(kindEnd, func(e *entry) { e.Code, e.SHA256 = code, a.sum })
	return code
}

func (a *agentProcess) confused(err error) int {
	a.note(kindConfused, func(e *entry) { e.Note = err.Error() })
	return confusedExit
}

// do obeys one directive; over means: exit with this code now.
func (a *agentProcess) do(d directive) (code int, over bool) {
	switch d.verb {
	case "sleep":
		<-time.After(d.duration(0))
	case "await":
		for range time.Tick(3 * time.Millisecond) {
			if _, err := os.Stat(d.args[0]); err == nil {
				return 0, false
			}
		}
	case "exit":
		return d.number(0), true
	case "exit-unless":
		if _, err := os.Stat(d.args[0]); err != nil {
			return d.number(1), true
		}
	case "signal":
		return a.die(d.args[0]), true
	case "term-exit":
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		go func() {
			<-term
			<-time.After(d.duration(1))
			os.Exit(a.end(d.number(0)))
		}()
	case "ignore-term":
		signal.Ignore(syscall.SIGTERM)
	case "stderr":
		fmt.Fprintln(os.Stderr, d.args[0])
	case "touch":
		if err := os.WriteFile(d.args[0], nil, 0o600); err != nil {
			return a.confused(err), true
		}
	case "print":
		flood(d.number(0), "x")
	case "print-lines":
		flood(d.number(0), strings.Repeat("x", 99)+"\n")
	case "close-output":
		_, _ = os.Stdout.Close(), os.Stderr.Close()
	case "stop-self":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "fork":
		if err := forkMany(d.number(0), d.args[1]); err != nil {
			return a.confused(err), true
		}
	}
	return 0, false
}

// flood prints n bytes of the text over and over, in blocks.
func flood(n int, text string) {
	block := []byte(strings.Repeat(text, (64<<10)/len(text)))
	for ; n > 0; n -= len(block) {
		_, _ = os.Stdout.Write(block[:min(n, len(block))])
	}
}

// forkMany starts n children that nobody will wait for, and lists their pids.
func forkMany(n int, list string) error {
	var pids strings.Builder
	for i := range n {
		pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "300"}, &syscall.ProcAttr{
			Env: os.Environ(), Sys: &syscall.SysProcAttr{Setsid: i%2 == 0},
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(&pids, pid)
	}
	return os.WriteFile(list, []byte(pids.String()), 0o600)
}

// die ends this very process by a signal. The Go runtime turns some of them into an exit code, so a shell takes over the
// process first; it keeps the lock.
func (a *agentProcess) die(name string) int {
	a.note(kindEnd, func(e *entry) { e.Signal, e.SHA256 = name, a.sum })
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, a.lock.Fd(), syscall.F_SETFD, 0); errno != 0 {
		return a.confused(errno)
	}
	err := syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -s " + name + " $$; sleep 60"}, os.Environ())
	return a.confused(err)
}
