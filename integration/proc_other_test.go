//go:build !linux

package integration

import "syscall"

// dieWithUs: elsewhere only an orderly end of the test run stops its children.
func dieWithUs() *syscall.SysProcAttr { return nil }
