package process

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	chunkAge = 100 * time.Millisecond // a byte waits this long at most
	lineMax  = 1 << 20                // bytes of a line that are kept
	tailMax  = 4 << 10                // bytes of standard error that are kept
)

// output reads one stream to its end. Everything but dropped, tail and the
// deadlines belongs to the goroutine of run.
type output struct {
	stream  Stream
	sink    Sink
	file    *os.File
	conn    syscall.RawConn
	pool    *buffers
	lines   lines
	tail    *tail         // standard error only
	dropped atomic.Uint64 // bytes of lines beyond lineMax

	buf    []byte // bytes not handed on as a chunk yet; nil while there are none
	n      int    // how many
	offset uint64 // place of buf[0] in the stream

	got     int // what the last read answered
	gotErr  error
	readNow func(fd uintptr) bool

	mu    sync.Mutex
	flush time.Time // when buf must be handed on; zero: no time set
	end   time.Time // when reading ends for good; zero: at EOF
}

func newOutput(stream Stream, fd int, sink Sink, pool *buffers) *output {
	o := &output{stream: stream, sink: sink, pool: pool}
	o.file = os.NewFile(uintptr(fd), string(stream)) //nolint:gosec // a descriptor is not negative
	o.conn, o.gotErr = o.file.SyscallConn()
	if stream == Stderr {
		o.tail = &tail{max: tailMax}
	}
	if sink != nil {
		o.lines = lines{max: lineMax, dropped: &o.dropped, emit: func(b []byte, cut bool) { sink.Line(stream, b, cut) }}
	}
	o.readNow = o.read
	return o
}

// run reads until EOF or until the time given by endBy.
func (o *output) run() {
	defer func() { _ = o.file.Close() }()
	for o.gotErr == nil {
		switch err := o.conn.Read(o.readNow); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			o.handOn()
			if o.timeUp() {
				o.finish()
				return
			}
		case err != nil, o.gotErr != nil, o.got == 0:
			o.finish()
			return
		default:
			o.take(o.buf[o.n : o.n+o.got])
		}
	}
}

// read is one read of what is there. It answers false, to be called again when
// there is more, and holds no buffer while it waits: most subprocesses are
// silent most of the time.
func (o *output) read(fd uintptr) bool {
	o.makeRoom()
	for {
		o.got, o.gotErr = syscall.Read(int(fd), o.buf[o.n:]) //nolint:gosec // a descriptor fits
		switch {
		case errors.Is(o.gotErr, syscall.EINTR):
		case errors.Is(o.gotErr, syscall.EAGAIN):
			o.got, o.gotErr = 0, nil
			if o.n == 0 {
				o.release()
			}
			return false
		default:
			o.got = max(o.got, 0)
			return true
		}
	}
}

// take looks at bytes just read into the buffer and keeps them there.
func (o *output) take(b []byte) {
	if o.tail != nil {
		o.tail.write(b)
	}
	if o.sink == nil {
		return
	}
	o.lines.write(b)
	if o.n == 0 {
		o.startClock()
	}
	o.n += len(b)
	if o.n == bigBuffer {
		o.handOn()
	}
}

func (o *output) handOn() {
	if o.n == 0 {
		return
	}
	o.sink.Chunk(o.stream, o.offset, o.buf[:o.n])
	o.offset += uint64(o.n) //nolint:gosec // a count is not negative
	o.n = 0
}

func (o *output) finish() {
	if o.sink != nil {
		o.lines.finish()
		o.handOn()
	}
	o.release()
}

// startClock makes the reading return in time to hand on a new chunk. A clock
// that already runs is left: a chunk may go out early, never late.
func (o *output) startClock() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.flush.IsZero() {
		o.flush = time.Now().Add(chunkAge)
		o.setDeadline()
	}
}

// timeUp is asked after a deadline. It says whether it was the last one and
// clears the chunk's.
func (o *output) timeUp() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush = time.Time{}
	if !o.end.IsZero() && !time.Now().Before(o.end) {
		return true
	}
	o.setDeadline()
	return false
}

// endBy makes run end at t, whoever still holds the other end of the pipe.
func (o *output) endBy(t time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end = t
	o.setDeadline()
}

func (o *output) setDeadline() {
	at := o.end
	if at.IsZero() || !o.flush.IsZero() && o.flush.Before(at) {
		at = o.flush
	}
	_ = o.file.SetReadDeadline(at) // an error means closed: run has ended
}
