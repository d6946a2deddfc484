package supervisor

import "io"

// Options is what Main is told.
type Options struct {
	// Err gets what the supervisor itself has to say: that its worker was
	// killed, or what it could not end. One line each; nil is silence.
	Err io.Writer
}
