//go:build curfewtest

package process

import "os"

// plantedExit says that CURFEW_TEST_BUG=exit lets a process count as ended when
// it has only been told to end, so that a test may see that the tests miss this
// guard.
func plantedExit() bool { return os.Getenv("CURFEW_TEST_BUG") == "exit" }
