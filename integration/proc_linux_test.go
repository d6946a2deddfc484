package integration

import "syscall"

// dieWithUs: a child ends when the test run does, however that happened.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
