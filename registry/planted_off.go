//go:build !curfewtest

package registry

// planted is false in the shipped program: every guard stands.
func planted(bug) bool { return false }
