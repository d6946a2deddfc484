package integration

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// roleEnv makes the test binary one of the programs below.
const (
	roleEnv  = "CURFEW_IT_ROLE"
	roleInit = "init" // of a PID namespace: mounts its /proc and becomes the program that its arguments name
	roleRoot = "root" // set-uid: becomes root for good, writes its pid into the file that its argument names, and stays
)

func play(role string) int {
	err := fmt.Errorf("no such role: %s", role)
	switch role {
	case roleInit:
		err = becomeInit()
	case roleRoot:
		if err = becomeRoot(os.Args[1]); err == nil {
			time.Sleep(5 * time.Minute)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return confusedExit
}

func becomeInit() error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := os.Unsetenv(roleEnv); err != nil {
		return err
	}
	return syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
}

func becomeRoot(file string) error {
	if err := syscall.Setresuid(0, 0, 0); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o600)
}
