package worker

import "time"

// Observer is told what happens in a worker, for whoever counts it. Its methods
// are called from any goroutine, also from ones that hold something up: they must
// return at once and must not call the worker. Embed Unobserved to be told of a
// part only.
type Observer interface {
	// JobEnded: a job is over, with its final event. agent is the name that the
	// job goes by, which may be any name and no agent's of this worker.
	JobEnded(agent string, o Outcome)
	// JobStarted: the first run of a job began, so long after it was published.
	JobStarted(waited time.Duration)
	// RunEnded: a subprocess ended and lived for so long. What becomes of its job
	// is another matter: it may run again.
	RunEnded(agent string, o Outcome, took time.Duration)
	// Spent: a run cost so much, in US dollars, by its agent's own word.
	Spent(agent string, usd float64)
	// LeaseLost: a session was given up because another worker may have it.
	LeaseLost()
	// Leftovers: so many processes outlived their agent and were killed.
	Leftovers(killed int)
	// LeftoversRemain: by so many there are more (or, below 0, fewer) processes
	// that outlived their agent and that nothing could kill.
	LeftoversRemain(change int)
	// OutputDropped: so many bytes that an agent printed are not in the stream.
	OutputDropped(bytes int)
	// SessionSwept: the sweeper ended a session that nobody held.
	SessionSwept()
	// JobsPurged: so many waiting jobs became dead letters with their session.
	JobsPurged(n uint64)
	// JobsRoused: the sweeper told of so many jobs that the stream would not have delivered any more.
	JobsRoused(n uint64)
	// WorkFoldersRemoved: so many work folders of sessions that are over are gone.
	WorkFoldersRemoved(n int)
}

// Unobserved is an Observer that counts nothing.
type Unobserved struct{}

var _ Observer = Unobserved{}

// JobEnded counts nothing.
func (Unobserved) JobEnded(string, Outcome) {}

// JobStarted counts nothing.
func (Unobserved) JobStarted(time.Duration) {}

// RunEnded counts nothing.
func (Unobserved) RunEnded(string, Outcome, time.Duration) {}

// Spent counts nothing.
func (Unobserved) Spent(string, float64) {}

// LeaseLost counts nothing.
func (Unobserved) LeaseLost() {}

// Leftovers counts nothing.
func (Unobserved) Leftovers(int) {}

// LeftoversRemain counts nothing.
func (Unobserved) LeftoversRemain(int) {}

// OutputDropped counts nothing.
func (Unobserved) OutputDropped(int) {}

// SessionSwept counts nothing.
func (Unobserved) SessionSwept() {}

// JobsPurged counts nothing.
func (Unobserved) JobsPurged(uint64) {}

// JobsRoused counts nothing.
func (Unobserved) JobsRoused(uint64) {}

// WorkFoldersRemoved counts nothing.
func (Unobserved) WorkFoldersRemoved(int) {}
