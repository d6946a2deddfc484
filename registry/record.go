package registry

import (
	"slices"
	"time"
)

// Record is what has happened to one session: the entry of the records bucket
// under the session's UUID. It is changed only by compare-and-set on its
// revision, so everything in it is true at one moment. It holds nothing that a
// loss of Redis could take: the age of the session, the orders given for it,
// and how far its jobs are done all live here.
//
// Values are copied and never changed through their pointers; the methods that
// change a record answer a new one.
type Record struct {
	// CreatedAt starts the session's wall clock. It may become older until the
	// first run is opened, never younger.
	CreatedAt time.Time `json:"created_at"`
	// MaxAgeMS is the length of the wall clock in milliseconds; `extend` raises it.
	MaxAgeMS int64 `json:"max_age_ms"`
	// WarnedMS is the length of the wall clock that was warned of: a session is
	// warned once, and once more after each extend.
	WarnedMS int64 `json:"warned_ms,omitempty"`
	// Agent is the name of the session's agent, set by its first run.
	Agent string `json:"agent,omitempty"`
	// Stream is the identity of the jobs stream that Done counts in.
	Stream string `json:"stream,omitempty"`
	// Done is the last finished job: the jobs at or below it have ended.
	Done Mark `json:"done,omitzero"`
	// Run is the open run; nil while none is open.
	Run *OpenRun `json:"run,omitempty"`
	// Closed names the run that was closed last, whatever became of its job,
	// so that a worker whose answer got lost finds its own close.
	Closed *RunKey `json:"closed,omitempty"`
	// Begins counts the runs of the job at the head.
	Begins Begins `json:"begins,omitzero"`
	// Failures counts the crashes of the job at the head.
	Failures int `json:"failures,omitempty"`
	// NotBefore is the end of the backoff of the job at the head.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Last is the job that was finished last, with all its effects need.
	Last *Finished `json:"last,omitempty"`
	// ReplaceSeq: every job below this sequence ends as replaced.
	ReplaceSeq uint64 `json:"replace_seq,omitempty"`
	// Rejected are jobs that were refused while a run was live; a mark stays
	// until its message is gone.
	Rejected []uint64 `json:"rejected,omitempty"`
	// Stop is the order to stop one run.
	Stop *StopOrder `json:"stop,omitempty"`
	// Tombstone ends the session for good.
	Tombstone *Tombstone `json:"tombstone,omitempty"`
	// Paused keeps the session's jobs without running them.
	Paused *Pause `json:"paused,omitempty"`
	// SpendUSD is what the session's runs have cost so far, in US dollars.
	SpendUSD float64 `json:"spend_usd,omitempty"`
	// BudgetUSD pauses the session when it is reached; 0: none.
	BudgetUSD float64 `json:"budget_usd,omitempty"`
	// AgentSession is the agent's own id of the conversation, where it makes one.
	AgentSession string `json:"agent_session,omitempty"`
	// Succeeded says that a job of the session has succeeded, so the agent resumes.
	Succeeded bool `json:"succeeded,omitempty"`
}

// Mark is a place in the jobs stream: a sequence and the time the stream gave it.
type Mark struct {
	Seq  uint64    `json:"seq,omitempty"`
	Time time.Time `json:"time,omitzero"`
}

// RunKey names one run: the adoption's token, the job, and which begin of it.
type RunKey struct {
	Token   string `json:"token"`
	Seq     uint64 `json:"seq"`
	Attempt int    `json:"attempt"`
}

// OpenRun is a run that was begun and not closed yet.
type OpenRun struct {
	RunKey
	// Fence is the revision that opened the run. The opening write cannot know
	// its own revision: 0 means the record's revision, see Snapshot.Fence.
	Fence   uint64    `json:"fence,omitempty"`
	Job     string    `json:"job"`
	Worker  string    `json:"worker"`
	Host    string    `json:"host,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started"`
}

// Begins counts how often the job Seq was begun. Unsettled are the begins that
// nobody closed: the worker died each time.
type Begins struct {
	Seq       uint64 `json:"seq,omitempty"`
	Count     int    `json:"count,omitempty"`
	Unsettled int    `json:"unsettled,omitempty"`
}

// Exit is how a process ended: a code, or the name of the signal that killed it.
type Exit struct {
	Code   *int   `json:"code,omitempty"`
	Signal string `json:"signal,omitempty"`
}

// Finished is a job that has ended, with everything its final event and its
// dead letter say, so that whoever finds its message may redo both.
type Finished struct {
	RunKey
	Job             string    `json:"job"`
	Time            time.Time `json:"time"`
	Outcome         string    `json:"outcome"`
	Reason          string    `json:"reason,omitempty"`
	Buried          bool      `json:"buried,omitempty"`
	Agent           string    `json:"agent,omitempty"`
	Worker          string    `json:"worker,omitempty"`
	Fence           uint64    `json:"fence,omitempty"`
	At              time.Time `json:"at"`
	Exit            *Exit     `json:"exit,omitempty"`
	Stderr          []byte    `json:"stderr,omitempty"`
	Result          string    `json:"result,omitempty"`
	ResultTruncated bool      `json:"result_truncated,omitempty"`
	Usage           *Usage    `json:"usage,omitempty"`
}

// Usage is what one run cost.
type Usage struct {
	CostUSD      float64 `json:"cost_usd,omitempty"`
	InputTokens  int64   `json:"input_tokens,omitempty"`
	OutputTokens int64   `json:"output_tokens,omitempty"`
}

// StopOrder asks for the end of one run; the session stays usable.
type StopOrder struct {
	RunKey
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Why says what ended a session.
type Why string

// The ends of a session.
const (
	WhyExpired   Why = "expired"
	WhyCancelled Why = "cancelled"
)

// Tombstone marks the end of a session. Jobs that come later are buried.
type Tombstone struct {
	Why    Why       `json:"why"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	// Announced: the session's own event was sent; Purged counts the jobs
	// that were waiting then.
	Announced bool   `json:"announced,omitempty"`
	Purged    uint64 `json:"purged,omitempty"`
}

// Pause keeps a session's jobs waiting.
type Pause struct {
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// MaxAge is the length of the session's wall clock.
func (r Record) MaxAge() time.Duration { return time.Duration(r.MaxAgeMS) * time.Millisecond }

// Curfew is the last moment at which the session has not expired.
func (r Record) Curfew() time.Time { return r.CreatedAt.Add(r.MaxAge()) }

// WarnAt is when a live session is warned of its curfew: nine tenths of its wall
// clock are over. due is false where that was done.
func (r Record) WarnAt() (at time.Time, due bool) {
	return r.CreatedAt.Add(r.MaxAge() / 10 * 9), r.WarnedMS != r.MaxAgeMS
}

// Warned notes that the session was warned when its wall clock was so long.
func (r Record) Warned(maxAgeMS int64) Record {
	r.WarnedMS = maxAgeMS
	return r
}

// Expired decides whether the session's wall clock is over: strictly past its
// curfew, so a session of exactly max_age may still run. It is the only place
// that decides it. now is the lease store's time.
func (r Record) Expired(now time.Time) bool { return now.Sub(r.CreatedAt) > r.MaxAge() }

// Over says that the session runs nothing any more: it was ended, or its wall
// clock is over.
func (r Record) Over(now time.Time) bool { return r.Tombstone != nil || r.Expired(now) }

// BackingOff says that the head's job waits for its next attempt. A newer job
// that replaces it cuts the wait short.
func (r Record) BackingOff(now time.Time) bool {
	return r.NotBefore.After(now) && r.ReplaceSeq <= r.Begins.Seq
}

// IsRejected says that the job was refused while a run was live.
func (r Record) IsRejected(seq uint64) bool { return slices.Contains(r.Rejected, seq) }

// IsDone says that the message at m has ended. A later stream time at a sequence
// that was done is another message: the stream was made anew or restored.
func (r Record) IsDone(m Mark) bool {
	return m.Seq <= r.Done.Seq && !m.Time.After(r.Done.Time) && !planted(bugDone)
}

// State is the session's state in one word, as commands and pages show it.
type State string

// The states of a session.
const (
	StateIdle      State = "idle"
	StateRunning   State = "running"
	StateBackoff   State = "backoff"
	StatePaused    State = "paused"
	StateExpired   State = "expired"
	StateCancelled State = "cancelled"
)

// State answers the session's state at now.
func (r Record) State(now time.Time) State {
	switch {
	case r.Tombstone != nil && r.Tombstone.Why == WhyCancelled:
		return StateCancelled
	case r.Over(now):
		return StateExpired
	case r.Run != nil:
		return StateRunning
	case r.Paused != nil:
		return StatePaused
	case r.BackingOff(now):
		return StateBackoff
	default:
		return StateIdle
	}
}
