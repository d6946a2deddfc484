package integration

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// excuse is what a fault makes right that would be wrong without it. docs/guarantees.md says the same in words.
type excuse struct {
	Rerun    bool     `json:"rerun,omitempty"`    // a job may be run again: its run was ended, or its end could not be written down
	Lost     bool     `json:"lost,omitempty"`     // jobs that were published before its end may be gone without a word
	Ends     []string `json:"ends,omitempty"`     // outcomes that jobs may have besides the expected
	Sessions []string `json:"sessions,omitempty"` // to whom Ends applies; none: all
}

// span is one fault of a history.
type span struct {
	Name string    `json:"name"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"` // when it was healed
	excuse
}

// aftermath is how long after its end a fault may still be the cause of what is seen: leases run out, deliveries come again.
const aftermath = 20 * time.Second

// strict says that the faults of this history were recorded, so that everything else needs an excuse.
func (h history) strict() bool { return h.Faults != nil }

func (h history) excused(from, to time.Time, by func(span) bool) bool {
	return slices.ContainsFunc(h.Faults, func(s span) bool {
		return by(s) && !s.From.After(to) && !s.To.Add(aftermath).Before(from)
	})
}

// secondRuns: a job is run again only after its run failed by itself, or where a fault, or a machine that stood still, excuses it.
func secondRuns(h history) []string {
	if !h.strict() {
		return nil
	}
	var out []string
	runs := runsByJob(h)
	for _, j := range h.Jobs {
		all := runs[j.Session+" "+j.Name]
		for i := 1; i < len(all); i++ {
			before, again := all[i-1], all[i]
			if before.failed() || h.excused(before.At, again.At, func(s span) bool { return s.Rerun }) || h.stalled(before.At, again.At) {
				continue
			}
			out = append(out, fmt.Sprintf("job %s ran again at %s, and no fault excuses it: %v, then %v", j.Name, again.At.Format("15:04:05.000"), before, again))
		}
	}
	return out
}

// failed says that the subprocess ended by itself and not well: its job has another attempt.
func (r run) failed() bool { return r.Ended && (r.Exit != 0 || r.By != "") }

// excusedRuns counts the second runs that a fault, or a standstill, made right.
func excusedRuns(h history) int {
	n := 0
	for _, all := range runsByJob(h) {
		for i := 1; i < len(all); i++ {
			if !all[i-1].failed() {
				n++
			}
		}
	}
	return n
}

// mayBeLost says that the job was there while something threw jobs away.
func (h history) mayBeLost(j *job) bool {
	return slices.ContainsFunc(h.Faults, func(s span) bool { return s.Lost && !j.At.After(s.To) })
}

// mayEndAs says that a fault allows this outcome too. A job under which three workers were killed is set aside: it may have
// been the job that killed them.
func (h history) mayEndAs(j *job, e event) bool {
	if h.strict() && e.Outcome == "crashed" && strings.HasPrefix(e.Reason, "its worker died 3 times") {
		return true
	}
	return slices.ContainsFunc(h.Faults, func(s span) bool {
		return slices.Contains(s.Ends, e.Outcome) && (len(s.Sessions) == 0 || slices.Contains(s.Sessions, j.Session))
	})
}

// nothingAlive: 5 s after the last worker has ended there is no process of any run.
func nothingAlive(h history) []string {
	if len(h.Alive) == 0 {
		return nil
	}
	return []string{strings.Join(h.Alive, ", ")}
}

// standstill is a time in which this whole machine did next to nothing.
type standstill struct{ From, To time.Time }

// stallLimit is how long a ticker may be late before it counts as one: long enough that a lease can have been lost by it.
const stallLimit = time.Second

func (h history) stalled(from, to time.Time) bool {
	return slices.ContainsFunc(h.Stalls, func(s standstill) bool { return !s.From.After(to) && !s.To.Before(from) })
}
