package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// kind says what a message is about.
type kind byte

const (
	// From the worker, about one run.
	kindOpen    kind = iota + 1 // id, deadline, cgroup: a fork is about to come
	kindSpawned                 // id, pid, and the pidfd beside the message
	kindRenew                   // id, deadline
	kindClose                   // id: it has ended and was collected
	// From the supervisor.
	kindDrain
	kindHandBack
)

// message is one packet on the socket. The socket keeps packets whole and in
// order, and both ends are the same program, so there is no version and no
// length.
//
//	byte 0     kind
//	1-8        deadline, CLOCK_BOOTTIME in ns
//	9-12       pid
//	13         length of id
//	14-        id, and then up to the end the cgroup's path
type message struct {
	kind     kind
	deadline int64
	pid      int
	id       string
	cgroup   string
}

const (
	messageHead = 14
	maxID       = 255
	maxCgroup   = 4096
	maxMessage  = messageHead + maxID + maxCgroup
)

var errMessage = errors.New("not a message of this protocol")

func (m message) encode() ([]byte, error) {
	if m.id == "" && m.kind < kindDrain || len(m.id) > maxID || len(m.cgroup) > maxCgroup {
		return nil, fmt.Errorf("a run's id has 1 to %d bytes and its cgroup's path at most %d: %w", maxID, maxCgroup, errMessage)
	}
	b := make([]byte, messageHead, messageHead+len(m.id)+len(m.cgroup))
	b[0] = byte(m.kind)
	binary.LittleEndian.PutUint64(b[1:], uint64(m.deadline)) //nolint:gosec // the same 64 bits on both ends
	binary.LittleEndian.PutUint32(b[9:], uint32(m.pid))      //nolint:gosec // pids have 22 bits
	b[13] = byte(len(m.id))                                  //nolint:gosec // checked above
	return append(append(b, m.id...), m.cgroup...), nil
}

func decode(b []byte) (message, error) {
	if len(b) < messageHead || len(b) < messageHead+int(b[13]) {
		return message{}, errMessage
	}
	end := messageHead + int(b[13])
	m := message{
		kind:     kind(b[0]),
		deadline: int64(binary.LittleEndian.Uint64(b[1:])),      //nolint:gosec // see encode
		pid:      int(int32(binary.LittleEndian.Uint32(b[9:]))), //nolint:gosec // see encode
		id:       string(b[messageHead:end]),
		cgroup:   string(b[end:]),
	}
	if m.kind < kindOpen || m.kind > kindHandBack || m.id == "" && m.kind < kindDrain {
		return message{}, errMessage
	}
	return m, nil
}
