//go:build !curfewtest

package process

// plantedExit is false in the shipped program: a process counts as ended when it has ended.
func plantedExit() bool { return false }
