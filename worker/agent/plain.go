package agent

import (
	"strings"
	"sync"
	"unicode/utf8"

	"curfew/worker/process"
)

// plainReader reads a program without events: its answer is the end of its
// standard output.
type plainReader struct {
	mu   sync.Mutex
	b    []byte // the last lines, each with its newline; twice ResultMax at most
	lost bool   // something is missing before or within b
}

func (r *plainReader) Line(stream process.Stream, line []byte, cut bool) {
	if stream != process.Stdout {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = r.lost || cut
	if over := len(line) - ResultMax; over > 0 {
		line = line[over:]
		r.lost = true
	}
	if len(r.b)+len(line)+1 > 2*ResultMax {
		r.b = r.b[:copy(r.b, r.b[len(r.b)-ResultMax:])]
		r.lost = true
	}
	r.b = append(append(r.b, line...), '\n')
}

func (r *plainReader) Verdict() Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := strings.TrimSuffix(string(r.b), "\n")
	result, cut := lastText(text, ResultMax)
	return Verdict{Result: result, ResultTruncated: cut || r.lost}
}

// lastText is the end of s as valid UTF-8 in limit bytes at most. Bytes that
// are no text become the replacement character, which is longer than they are.
func lastText(s string, limit int) (text string, cut bool) {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= limit {
		return s, false
	}
	s = s[len(s)-limit:]
	for s != "" && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return s, true
}
