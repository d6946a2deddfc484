package integration

import (
	"fmt"
	"slices"
	"strings"
)

// history is everything that was seen of one namespace, from outside.
type history struct {
	Jobs    []*job  // each session's in the order of publishing
	Entries []entry // each session's in the order of writing
	Events  []event
	Letters []letter
	Rest    rest
	Logs    map[string]string // of workers
	Alive   []string          // processes of runs that are left after the end
	Faults  []span            // nil: not recorded, so nothing is asked of them
	Stalls  []standstill
}

// rule is one promise: it answers every way in which the history breaks it.
type rule struct {
	name  string
	check func(history) []string
}

// rules hold in every scenario, whatever was disturbed.
var rules = []rule{
	{"something happened", somethingHappened},
	{"no two subprocesses of a session at once", noOverlap},
	{"jobs of a session start in the order of publishing", inOrder},
	{"fences rise", fencesRise},
	{"one final event per job", oneFinal},
	{"outcomes as expected", outcomes},
	{"one successful run per job that succeeds", oneSuccess},
	{"a second run only where a fault allows it", secondRuns},
	{"what must not run did not run", noForbiddenRun},
	{"a subprocess reads the job's body", bodies},
	{"a dead letter for each buried job and for no other", lettersMatch},
	{"streams and leases end clean", endsClean},
	{"nothing is left alive", nothingAlive},
	{"no worker panicked or raced", logsClean},
}

// judge answers what is wrong with a history, one line each.
func judge(h history) []string {
	var out []string
	for _, r := range rules {
		for _, v := range r.check(h) {
			out = append(out, r.name+": "+v)
		}
	}
	return out
}

// somethingHappened keeps an idle test from passing.
func somethingHappened(h history) []string {
	finals, mayRun := 0, false
	for _, e := range h.Events {
		if e.Final {
			finals++
		}
	}
	for _, j := range h.Jobs {
		mayRun = mayRun || !j.NoRun
	}
	switch {
	case len(h.Jobs) == 0:
		return []string{"no job was published"}
	case finals == 0:
		return []string{"no final event was seen"}
	case mayRun && len(runsOf(h.Entries)) == 0:
		return []string{"no subprocess was seen"}
	}
	return nil
}

// noOverlap believes the kernel's lock first. The journal proves it a second way: a run's end after its successor's start.
func noOverlap(h history) []string {
	var out []string
	last := map[string]uint64{} // session -> fence of the newest start
	for _, e := range h.Entries {
		switch e.Kind {
		case kindOverlap:
			out = append(out, fmt.Sprintf("session %s job %s attempt %d pid %d: %s", e.Session, e.Job, e.Attempt, e.PID, e.Note))
		case kindConfused:
			out = append(out, fmt.Sprintf("witness of %s was confused (a mistake in the test): %s", e.Job, e.Note))
		case kindStart:
			last[e.Session] = e.Fence
		case kindEnd:
			if newest := last[e.Session]; newest != e.Fence {
				out = append(out, fmt.Sprintf("session %s: the run of fence %d ended after that of fence %d had begun", e.Session, e.Fence, newest))
			}
		}
	}
	return out
}

func inOrder(h history) []string {
	place := map[string]int{}
	for i, j := range h.Jobs {
		place[j.Session+" "+j.Name] = i
	}
	var out []string
	newest := map[string]entry{}
	for _, e := range h.Entries {
		if e.Kind != kindStart {
			continue
		}
		at, known := place[e.Session+" "+e.Job]
		if !known {
			out = append(out, fmt.Sprintf("session %s ran job %s, which was not published", e.Session, e.Job))
			continue
		}
		if before, ok := newest[e.Session]; ok && place[before.Session+" "+before.Job] > at {
			out = append(out, fmt.Sprintf("session %s ran %s after the newer %s", e.Session, e.Job, before.Job))
		}
		newest[e.Session] = e
	}
	return out
}

func fencesRise(h history) []string {
	var out []string
	last := map[string]uint64{}
	for _, e := range h.Entries {
		if e.Kind != kindStart {
			continue
		}
		if e.Fence <= last[e.Session] {
			out = append(out, fmt.Sprintf("session %s job %s started with fence %d after %d", e.Session, e.Job, e.Fence, last[e.Session]))
		}
		last[e.Session] = e.Fence
	}
	return out
}

func finals(h history) map[string][]event {
	out := map[string][]event{}
	for _, e := range h.Events {
		if e.Final {
			out[e.Job] = append(out[e.Job], e)
		}
	}
	return out
}

func oneFinal(h history) []string {
	var out []string
	got := finals(h)
	for _, j := range h.Jobs {
		if n := len(got[j.Name]); n != 1 && (n != 0 || !h.mayBeLost(j)) {
			out = append(out, fmt.Sprintf("job %s (seq %d) has %d: %v", j.Name, j.Seq, n, got[j.Name]))
		}
		delete(got, j.Name)
	}
	for name := range got {
		out = append(out, fmt.Sprintf("an event for job %s, which was not published", name))
	}
	slices.Sort(out)
	return out
}

func outcomes(h history) []string {
	var out []string
	got := finals(h)
	for _, j := range h.Jobs {
		for _, e := range got[j.Name] {
			if !slices.Contains(j.Want, e.Outcome) && !h.mayEndAs(j, e) {
				out = append(out, fmt.Sprintf("job %s: %s (%s), expected %s", j.Name, e.Outcome, e.Reason, strings.Join(j.Want, " or ")))
			}
		}
	}
	return out
}

func runsByJob(h history) map[string][]run {
	out := map[string][]run{}
	for _, r := range runsOf(h.Entries) {
		out[r.Session+" "+r.Job] = append(out[r.Session+" "+r.Job], r)
	}
	return out
}

func oneSuccess(h history) []string {
	var out []string
	runs, ends := runsByJob(h), finals(h)
	for _, j := range h.Jobs {
		good := 0
		for _, r := range runs[j.Session+" "+j.Name] {
			if r.Ended && r.Exit == 0 && r.By == "" {
				good++
			}
		}
		succeeded := len(ends[j.Name]) > 0 && ends[j.Name][0].Outcome == "succeeded"
		switch {
		case succeeded && good == 0:
			out = append(out, fmt.Sprintf("job %s is said to have succeeded, and no subprocess did", j.Name))
		case good > 1 && !j.Repeat:
			out = append(out, fmt.Sprintf("job %s succeeded %d times", j.Name, good))
		}
	}
	return out
}

func noForbiddenRun(h history) []string {
	var out []string
	runs := runsByJob(h)
	for _, j := range h.Jobs {
		if all := runs[j.Session+" "+j.Name]; j.NoRun && len(all) > 0 {
			out = append(out, fmt.Sprintf("job %s: %v", j.Name, all))
		}
	}
	return out
}

func bodies(h history) []string {
	var out []string
	runs := runsByJob(h)
	for _, j := range h.Jobs {
		for _, r := range runs[j.Session+" "+j.Name] {
			if r.Ended && r.Prompt != "" && r.Prompt != j.hash() {
				out = append(out, fmt.Sprintf("job %s attempt %d read other bytes than were published", j.Name, r.Attempt))
			}
		}
	}
	return out
}

// buried says what an outcome means for the dead letter: must have one, must not, or may.
var buried = map[string]bool{
	"misconfigured": true, "crashed": true, "expired": true, "timed_out": true, "rejected": true, "invalid": true,
	"failed": true, "truncated": true, "stalled": true,
	"succeeded": false, "terminated": false, "stopped": false, "replaced": false,
}

func lettersMatch(h history) []string {
	var out []string
	got := map[string]int{}
	for _, l := range h.Letters {
		got[l.Job]++
	}
	ends := finals(h)
	for _, j := range h.Jobs {
		n := got[j.Name]
		delete(got, j.Name)
		if len(ends[j.Name]) == 0 {
			continue // told by another rule
		}
		outcome := ends[j.Name][0].Outcome
		must, decided := buried[outcome]
		switch {
		case n > 1:
			out = append(out, fmt.Sprintf("job %s has %d", j.Name, n))
		case decided && must && n == 0:
			out = append(out, fmt.Sprintf("job %s ended as %s and has none", j.Name, outcome))
		case decided && !must && n > 0:
			out = append(out, fmt.Sprintf("job %s ended as %s and has one", j.Name, outcome))
		}
	}
	for name := range got {
		out = append(out, fmt.Sprintf("one for job %s, which was not published", name))
	}
	slices.Sort(out)
	return out
}

func endsClean(h history) []string {
	out := slices.Clone(h.Rest.Wrong)
	if h.Rest.Messages > 0 {
		out = append(out, fmt.Sprintf("%d messages in the jobs stream: %v", h.Rest.Messages, h.Rest.Left))
	}
	if h.Rest.Pending > 0 || h.Rest.AckPending > 0 {
		out = append(out, fmt.Sprintf("consumer: %d pending, %d unacknowledged", h.Rest.Pending, h.Rest.AckPending))
	}
	if len(h.Rest.Locks) > 0 {
		out = append(out, fmt.Sprintf("locks in Redis: %v", h.Rest.Locks))
	}
	return out
}

// alarms are words that no worker may log.
var alarms = []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "goroutine 1 ["}

func logsClean(h history) []string {
	var out []string
	for name, text := range h.Logs {
		for _, alarm := range alarms {
			if at := strings.Index(text, alarm); at >= 0 {
				out = append(out, fmt.Sprintf("%s logged %s", name, text[at:min(len(text), at+3000)]))
				break
			}
		}
	}
	return out
}
