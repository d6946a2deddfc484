//go:build curfewtest

package main

import "os"

// cgroupsAllowed lets a test have a worker as it is where there is no cgroup v2 to be had.
func cgroupsAllowed() bool { return os.Getenv("CURFEW_TEST_NO_CGROUP") == "" }
