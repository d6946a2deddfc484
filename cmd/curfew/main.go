package main

import (
	"context"
	"os"
)

// version is set by the build.
var version = "unknown" //nolint:gochecknoglobals // the linker writes it, nothing else does

func main() {
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	code, over := a.supervise(os.Args[1:])
	if !over {
		a.environ = os.Environ()
		code = a.run(context.Background(), os.Args[1:])
		a.supervisor.Finish()
	}
	os.Exit(code)
}
