//go:build !curfewtest

package worker

// reached does nothing in the shipped program.
func reached(step) {}
