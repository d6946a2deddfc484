package registry

import (
	"slices"
	"time"
)

// Anew fits the record to the stream that the message m was found in. A stream
// with another identity, or a message at or below the done mark that is younger
// than the mark, means that the stream was made anew or restored: the counters
// of the old one would swallow new jobs. Nothing changes otherwise.
func (r Record) Anew(stream string, m Mark) (Record, bool) {
	if r.Stream == "" || r.Done.Seq == 0 && r.Begins.Seq == 0 && r.ReplaceSeq == 0 && len(r.Rejected) == 0 {
		r.Stream = stream
		return r, false
	}
	switch {
	case youngerStream(stream, r.Stream):
		return r.forget(stream, Mark{}), true
	case r.Stream != stream: // the caller knows an older stream than the record does
		return r, false
	}
	if m.Seq != 0 && m.Seq <= r.Done.Seq && m.Time.After(r.Done.Time) {
		// The older messages of a restored stream had ended before it was
		// saved, or are older than the mark; this one and those above it are new.
		return r.forget(stream, Mark{Seq: m.Seq - 1, Time: r.Done.Time}), true
	}
	return r, false
}

// youngerStream compares two identities, which are creation times in decimal.
func youngerStream(a, b string) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

func (r Record) forget(stream string, done Mark) Record {
	r.Stream, r.Done = stream, done
	r.Begins, r.Failures, r.NotBefore = Begins{}, 0, time.Time{}
	r.ReplaceSeq, r.Rejected, r.Last = 0, nil, nil
	return r
}

// Opening is what a holder writes when it begins a run.
type Opening struct {
	Token   string
	Seq     uint64
	Job     string
	Agent   string
	Worker  string
	Host    string
	Started time.Time
}

// Begin opens a run of the job at the head, superseding one that another holder
// left open. The caller has checked that it may: its lease is good, no foreign
// run is open but the one it named when it acquired, the session is not over.
func (r Record) Begin(o Opening) Record {
	if r.Begins.Seq != o.Seq {
		r.Begins, r.Failures = Begins{Seq: o.Seq}, 0
	}
	r.Begins.Count++
	r.Begins.Unsettled++
	r.NotBefore = time.Time{}
	r.Agent = o.Agent
	r.Stop = nil
	if r.Last != nil { // its effects are done, and its event tells the rest
		last := *r.Last
		last.Result, last.Stderr = "", nil
		r.Last = &last
	}
	r.Run = &OpenRun{
		RunKey: RunKey{Token: o.Token, Seq: o.Seq, Attempt: r.Begins.Count},
		Job:    o.Job, Worker: o.Worker, Host: o.Host, Started: o.Started,
	}
	return r
}

// Finish ends a job for good: the done mark moves to it and its run, where one
// is open, closes. This write is the commit point of the job.
func (r Record) Finish(f Finished) Record {
	r = r.closeRun(f.RunKey)
	r.Done = Mark{Seq: f.Seq, Time: f.Time}
	r.Begins, r.Failures, r.NotBefore = Begins{}, 0, time.Time{}
	r.Rejected = without(r.Rejected, f.Seq)
	if f.Usage != nil {
		r.SpendUSD += f.Usage.CostUSD
	}
	r.Last = &f
	return r
}

// Retry closes a run that crashed; the job stays at the head until notBefore.
func (r Record) Retry(k RunKey, notBefore time.Time) Record {
	r = r.closeRun(k)
	r.Failures++
	r.NotBefore = notBefore
	return r
}

// HandBack closes a run whose job another worker shall run. A refunded one
// never started: its begin does not count.
func (r Record) HandBack(k RunKey, refund bool) Record {
	r = r.closeRun(k)
	if refund && r.Begins.Count > 0 {
		r.Begins.Count--
	}
	return r
}

func (r Record) closeRun(k RunKey) Record {
	r.Run, r.Stop = nil, nil
	r.Begins.Unsettled = 0
	if k.Token != "" {
		r.Closed = &k
	}
	return r
}

// Reject marks a job that was refused while a run was live.
func (r Record) Reject(seq uint64) Record {
	if !r.IsRejected(seq) {
		r.Rejected = append(slices.Clone(r.Rejected), seq)
	}
	return r
}

// Unreject drops the mark of a rejected job whose message is gone.
func (r Record) Unreject(seq uint64) Record {
	r.Rejected = without(r.Rejected, seq)
	return r
}

// Bury ends the session: it sets the tombstone where none is yet and supersedes
// a run that was left open, so that a holder that comes back finds itself out.
func (r Record) Bury(why Why, at time.Time) Record {
	if r.Tombstone == nil {
		r.Tombstone = &Tombstone{Why: why, At: at}
	}
	r.Run, r.Stop = nil, nil
	return r
}

// Announced notes that the session's own last event was sent.
func (r Record) Announced(purged uint64) Record {
	if r.Tombstone != nil {
		t := *r.Tombstone
		t.Announced, t.Purged = true, purged
		r.Tombstone = &t
	}
	return r
}

func without(from []uint64, seq uint64) []uint64 {
	if !slices.Contains(from, seq) {
		return from
	}
	return slices.DeleteFunc(slices.Clone(from), func(s uint64) bool { return s == seq })
}
