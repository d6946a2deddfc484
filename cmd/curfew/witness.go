package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// witnessVariable names a folder in which demonstration agents leave traces of themselves, so that the demonstration
// does not have to believe what the worker says about its subprocesses.
const witnessVariable = "DEMO_WITNESS"

// overlapMark is the trace of a second live subprocess of a session.
const overlapMark = "OVERLAP"

// witnessed notes the begin of this run and holds the session's lock as long as the process lives: the kernel gives it
// free at its death, however it dies. Who finds it held is a second live subprocess and says so.
func (a *app) witnessed() (over func(), err error) {
	dir, session := a.getenv(witnessVariable), a.getenv("CURFEW_SESSION")
	if dir == "" || session == "" {
		return func() {}, nil
	}
	lock, err := os.OpenFile(filepath.Join(dir, session+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	mark := "run"
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		mark = overlapMark
	}
	log, err := os.OpenFile(filepath.Join(dir, session+".log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("witness: %w", err)
	}
	defer log.Close()
	_, err = fmt.Fprintf(log, "%s %s %s %d\n", mark, a.getenv("CURFEW_JOB"), a.getenv("CURFEW_ATTEMPT"), os.Getpid())
	return func() { lock.Close() }, err
}

// seen is one line of a witness.
type seen struct {
	mark, job, attempt string
}

// witnesses reads what the runs of a session left.
func witnesses(dir, session string) ([]seen, error) {
	text, err := os.ReadFile(filepath.Join(dir, session+".log"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	var all []seen
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 3 {
			all = append(all, seen{f[0], f[1], f[2]})
		}
	}
	return all, nil
}

// alive tells whether a run of the session lives, by its lock.
func alive(dir, session string) (bool, error) {
	lock, err := os.OpenFile(filepath.Join(dir, session+".lock"), os.O_RDWR, 0o600)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("witness: %w", err)
	}
	defer lock.Close()
	return unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil, nil
}
