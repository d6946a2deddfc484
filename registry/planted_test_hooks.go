//go:build curfewtest

package registry

import "os"

// planted says that CURFEW_TEST_BUG=<name> takes this guard out.
func planted(b bug) bool { return os.Getenv("CURFEW_TEST_BUG") == string(b) }
