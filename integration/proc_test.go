package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	killSignal = syscall.SIGKILL
	termSignal = syscall.SIGTERM
)

// proc is a child of the test run. Its output goes to a file: nobody has to read a pipe, and what inherits the file cannot
// hold anyone up.
type proc struct {
	name string
	log  string // path
	cmd  *exec.Cmd
	done chan struct{} // closed by the one goroutine that waits, after which cmd.ProcessState may be read
}

type command struct {
	name string // for messages and the log's name
	path string
	args []string
	env  []string // nil: nothing
	dir  string   // where the log goes
	as   func(*syscall.SysProcAttr)
}

func (l *laboratory) start(c command) (*proc, error) {
	p := &proc{name: c.name, log: filepath.Join(c.dir, c.name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(c.path, c.args...)
	p.cmd.Env = append([]string{}, c.env...)
	p.cmd.Dir = c.dir
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = dieWithUs()
	if c.as != nil {
		c.as(p.cmd.SysProcAttr)
	}
	started := make(chan error, 1)
	l.spawn <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells more
		close(p.done)
	}()
	l.track(p)
	return p, nil
}

func (p *proc) pid() int { return p.cmd.Process.Pid }

// signal reaches this very process or nobody: the os package knows whether it was waited for.
func (p *proc) signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// wait answers the exit code, 128+n for a death by signal n; ok is false when it is still alive after the bound.
func (p *proc) wait(bound time.Duration) (code int, ok bool) {
	select {
	case <-p.done:
	case <-time.After(bound):
		return 0, false
	}
	if status, is := p.cmd.ProcessState.Sys().(syscall.WaitStatus); is && status.Signaled() {
		return 128 + int(status.Signal()), true
	}
	return p.cmd.ProcessState.ExitCode(), true
}

func (p *proc) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *proc) output() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// end stops it politely, then not.
func (p *proc) end(grace time.Duration) (code int, polite bool) {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	if code, ok := p.wait(grace); ok {
		return code, true
	}
	p.signal(killSignal)
	code, _ = p.wait(60 * time.Second)
	return code, false
}
