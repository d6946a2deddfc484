package process

import (
	"errors"
	"fmt"
	"syscall"
)

// pipes are the two ends of a subprocess' standard files. An end that is -1 is
// closed or was never there.
type pipes struct {
	child  [3]int // handed to the subprocess, blocking
	parent [3]int // kept here, non-blocking
	fed    int    // bytes of the body that are in the pipe already
}

// openPipes makes them and puts as much of the body as fits into the pipe. For
// most bodies that is all of it, and no goroutine has to feed them.
func (sp *spawner) openPipes(body []byte) (p pipes, err error) {
	p = pipes{child: [3]int{-1, -1, -1}, parent: [3]int{-1, -1, -1}}
	defer func() {
		if err != nil {
			p.closeChild(sp.devNull)
			p.closeParent()
			err = fmt.Errorf("open pipes: %w", err)
		}
	}()
	for i := 1; i <= 2; i++ {
		if p.parent[i], p.child[i], err = openPipe(0); err != nil {
			return p, err
		}
	}
	if len(body) == 0 && sp.devNull >= 0 {
		p.child[0] = sp.devNull
		return p, nil
	}
	if p.child[0], p.parent[0], err = openPipe(1); err != nil {
		return p, err
	}
	if p.fed = fill(p.parent[0], body); p.fed == len(body) {
		_ = syscall.Close(p.parent[0])
		p.parent[0] = -1
	}
	return p, nil
}

// fill writes what a non-blocking pipe takes.
func fill(fd int, body []byte) int {
	fed := 0
	for fed < len(body) {
		n, err := syscall.Write(fd, body[fed:])
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			break
		}
		fed += n
	}
	return fed
}

// closeChild closes the subprocess' ends; the shared one is not its own.
func (p *pipes) closeChild(shared int) {
	for i, fd := range p.child {
		if fd >= 0 && fd != shared {
			_ = syscall.Close(fd)
		}
		p.child[i] = -1
	}
}

func (p *pipes) closeParent() {
	for i, fd := range p.parent {
		if fd >= 0 {
			_ = syscall.Close(fd)
		}
		p.parent[i] = -1
	}
}
