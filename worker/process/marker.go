package process

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
)

// WorkerVar names the environment variable that says which worker a process
// belongs to. SweepLeftovers goes by it.
const WorkerVar = "CURFEW_WORKER"

// workerOf is the value of WorkerVar in an environment, "" where it has none.
func workerOf(env []string) string {
	for _, v := range env {
		if id, ok := strings.CutPrefix(v, WorkerVar+"="); ok {
			return id
		}
	}
	return ""
}

// hasVars says whether an environment, as the kernel shows it (each entry ended
// by a NUL), has every one of the entries.
func hasVars(environ []byte, want []string) bool {
	if len(want) == 0 {
		return false
	}
	found := 0
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if slices.Contains(want, string(entry)) {
			found++
		}
	}
	return found >= len(want)
}

// variable is the value of one entry of an environment as the kernel shows it.
func variable(environ []byte, name string) (string, bool) {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(name+"=")); ok {
			return string(value), true
		}
	}
	return "", false
}

// token is the second marker of a run: a number that every process of the run
// inherits, through fork, exec, setsid and a cleared environment alike (see
// wear). From the top: 16 bits that say that it is one, 24 of the worker's run
// folder and id, 24 that tell its runs apart. 0 is none.
type token uint64

const (
	tokenMagic    = 0x4355 // the top bit is clear: the largest values mean "no limit"
	tokenRunBits  = 24
	tokenRunMask  = 1<<tokenRunBits - 1
	tokenWorkBits = 24
)

// isToken tells a token from whatever else that number may be.
func isToken(v uint64) bool { return v>>(tokenRunBits+tokenWorkBits) == tokenMagic }

// workerToken is the token of no run of the worker.
func workerToken(runDir, id string) token {
	sum := sha256.Sum256([]byte(filepath.Clean(runDir) + "\x00" + id))
	return tokenMagic<<(tokenRunBits+tokenWorkBits) | token(binary.BigEndian.Uint32(sum[:4])>>8)<<tokenRunBits
}

// sameWorker says whether both are tokens of one worker.
func (t token) sameWorker(v uint64) bool {
	return isToken(v) && uint64(t)>>tokenRunBits == v>>tokenRunBits
}

// tokens counts runs. It begins anywhere, so that a run is not taken for one of
// a predecessor under the same id.
type tokens struct{ last atomic.Uint64 }

func newTokens() *tokens {
	c := &tokens{}
	c.last.Store(rand.Uint64()) //nolint:gosec // only has to differ, not to be secret
	return c
}

func (c *tokens) next(runDir, worker string) token {
	return workerToken(runDir, worker) | token(c.last.Add(1)&tokenRunMask)
}
