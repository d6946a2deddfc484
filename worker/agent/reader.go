package agent

import "curfew/worker/process"

// Reader follows the output of one run. Line may be called from one goroutine
// per stream at a time; Verdict at any time, and once more after the end.
type Reader interface {
	// Line takes one line without its newline, valid only during the call; cut
	// says that its end is missing.
	Line(stream process.Stream, line []byte, cut bool)
	// Verdict is what the output has said so far.
	Verdict() Verdict
}

// Verdict is what an agent's output says about its run.
type Verdict struct {
	Terminal        bool    // this kind of agent ends with a terminal event
	Good            bool    // that event came and was a good one; never without Terminal
	Result          string  // the agent's answer, valid UTF-8, ResultMax bytes at most
	ResultTruncated bool    // there was more of it
	CostUSD         float64 // of this run
	In, Out         int64   // tokens of this run
}

// ResultMax is how much of an agent's answer is kept, in bytes.
const ResultMax = 64 << 10

// plain is the name of the reader that knows no events.
const plain = "plain"

// format is a way to read output.
type format struct {
	name string
	open func() Reader
}

// formats is the table of them.
func formats() []format {
	return []format{{plain, func() Reader { return &plainReader{} }}}
}

// Reader begins to follow a run's output.
func (a *Agent) Reader() Reader {
	f, ok := readerFor(a.Events)
	if !ok { // Validate refuses this
		f = formats()[0]
	}
	return f.open()
}

func readerFor(name string) (format, bool) {
	if name == "" {
		name = plain
	}
	for _, f := range formats() {
		if f.name == name {
			return f, true
		}
	}
	return format{}, false
}

func eventNames() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}
