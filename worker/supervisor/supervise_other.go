//go:build !linux

package supervisor

// Main does nothing on this system: a worker is its own parent here, and what it
// leaves behind when it is killed lives on until the next worker starts.
func Main(Options) (code int, was bool) { return 0, false }
