package process

import "os"

// feeder writes what of the body did not fit into the pipe, then EOF.
type feeder struct {
	file *os.File
	rest []byte
}

func newFeeder(fd int, rest []byte) *feeder {
	return &feeder{file: os.NewFile(uintptr(fd), "stdin"), rest: rest} //nolint:gosec // a descriptor is not negative
}

// run ends when all is written, when nobody can read any more (EPIPE: what a
// subprocess does not want to read is its own business) or when abandoned.
func (f *feeder) run() {
	_, _ = f.file.Write(f.rest)
	f.rest = nil
	_ = f.file.Close()
}

// abandon ends a write that nobody will read.
func (f *feeder) abandon() { _ = f.file.Close() }
