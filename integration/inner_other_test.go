//go:build !linux

package integration

// inner is the worker itself: without a supervisor it is what was started.
func (x *worker) inner() int { return x.pid() }

// roleEnv makes the test binary one of the programs that only Linux has.
const roleEnv = "CURFEW_IT_ROLE"

func play(string) int { return confusedExit }
