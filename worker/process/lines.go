package process

import (
	"bytes"
	"sync/atomic"
)

// keepPart is the largest buffer that is kept for the next unfinished line.
const keepPart = 4 << 10

// lines cuts a stream into lines. A line that is whole in what was read is
// handed on without a copy.
type lines struct {
	max     int
	emit    func(line []byte, cut bool)
	dropped *atomic.Uint64

	part []byte // the beginning of a line whose end is not here yet
	skip bool   // the line was cut: its rest is counted only
}

func (l *lines) write(b []byte) {
	for len(b) > 0 {
		piece, rest, whole := bytes.Cut(b, []byte{'\n'})
		b = rest
		switch {
		case l.skip:
			l.dropped.Add(uint64(len(piece)))
			l.skip = !whole
		case len(l.part)+len(piece) > l.max:
			room := l.max - len(l.part)
			l.part = append(l.part, piece[:room]...)
			l.dropped.Add(uint64(len(piece) - room)) //nolint:gosec // the case says it is positive
			l.send(l.part, true)
			l.skip = !whole
		case !whole:
			l.part = append(l.part, piece...)
		case len(l.part) == 0:
			l.emit(piece, false)
		default:
			l.part = append(l.part, piece...)
			l.send(l.part, false)
		}
	}
}

// finish hands on a last line without a newline.
func (l *lines) finish() {
	if len(l.part) > 0 {
		l.send(l.part, false)
	}
}

func (l *lines) send(line []byte, cut bool) {
	l.emit(line, cut)
	l.part = l.part[:0]
	if cap(l.part) > keepPart {
		l.part = nil
	}
}
