package process

import (
	"sync"
	"sync/atomic"
	"time"
)

// kin is what this process knows of its own children, so that an adopted
// orphan can be told from a main process.
type kin struct {
	// fork is held around every fork until its child is on the list: whoever
	// looks at the children meanwhile would take a new one for an orphan. It
	// also keeps two forks from wearing each other's token.
	fork sync.Mutex
	// mains are the main processes that are not reaped, with the time of their
	// start in clock ticks since boot (0 unknown). Guarded by fork.
	mains map[int]uint64

	adopting atomic.Bool // see AdoptOrphans
	tokens   *tokens
}

// theKin is of the process, as its children are.
//
//nolint:gochecknoglobals // children belong to the process, not to a spawner
var theKin = sync.OnceValue(func() *kin { return &kin{mains: map[int]uint64{}, tokens: newTokens()} })

// spawnFrom is what was noted before a fork, to find what came of it.
type spawnFrom struct {
	token  token
	cursor int // the last process number given before; 0 unknown
	at     time.Time
}

// reaped takes a main process off the list, once it is reaped.
func (k *kin) reaped(pid int) {
	k.fork.Lock()
	defer k.fork.Unlock()
	delete(k.mains, pid)
}
