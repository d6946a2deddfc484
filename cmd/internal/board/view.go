package board

import (
	"cmp"
	"slices"
	"time"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker"
)

// MaxRows is how many sessions a view shows; of more it shows those whose curfew is nearest.
const MaxRows = 500

const (
	maxEnds    = 20
	maxPresent = 100 // workers shown
)

// View is what a page shows, as of one moment.
type View struct {
	At      time.Time // when it was made
	AsOf    time.Time // when the servers answered last; zero: never
	Stale   bool      // they do not answer
	Loading bool      // nothing is known yet
	Halt    registry.Halt
	Totals  Totals
	Rows    []Row // the sessions that run or have work, the nearest curfew first
	More    int   // how many further ones there are
	Ends    []End // the latest first
	Workers []Worker
	Depth   []Point // oldest first
	Letters uint64  // dead letters
}

// Totals are of the whole fleet.
type Totals struct {
	Running, Backoff, Paused, Queued int // sessions; a queued one has jobs and no run
	Ending                           int // over, not yet buried
	Jobs                             uint64
	Workers, Live, Slots             int
}

// Row is a session.
type Row struct {
	Session  string
	State    registry.State
	Agent    string
	Worker   string // of the live run
	Attempts int
	Created  time.Time // zero: no worker has taken it up
	MaxAge   time.Duration
	Age      time.Duration
	Waiting  uint64 // jobs, without the one that runs

	record registry.Record // without what is long
}

// End is how a job ended.
type End struct {
	Session string
	Job     string
	Agent   string
	Worker  string
	Outcome string
	Exit    registry.Exit
	Buried  bool
	At      time.Time
}

// Worker is one that answered the roll call.
type Worker struct {
	ID, Host    string
	State       worker.State
	Live, Slots int
	Started     time.Time
}

// rowOf keeps of a record what a row is made of: neither answers nor what an agent said.
func rowOf(s registry.Snapshot) Row {
	rec := registry.Record{
		CreatedAt: s.CreatedAt, MaxAgeMS: s.MaxAgeMS, NotBefore: s.NotBefore, Paused: s.Paused, Tombstone: s.Tombstone,
		Run: s.Run, ReplaceSeq: s.ReplaceSeq, Begins: s.Begins,
	}
	row := Row{Session: s.Session, Agent: s.Agent, Attempts: s.Begins.Count, Created: s.CreatedAt, MaxAge: s.MaxAge(), record: rec}
	if s.Run != nil {
		row.Worker, row.Attempts = s.Run.Worker, s.Run.Attempt
	}
	return row
}

func endOf(s registry.Snapshot) End {
	e := End{
		Session: s.Session, Job: s.Last.Job, Agent: s.Last.Agent, Worker: s.Last.Worker,
		Outcome: s.Last.Outcome, Buried: s.Last.Buried, At: s.Last.At,
	}
	if s.Last.Exit != nil {
		e.Exit = *s.Last.Exit
	}
	return e
}

// view judges everything that is known by the time now.
func (k *knowledge) view(now time.Time) *View {
	v := &View{At: now, Loading: k.rows == nil, Halt: k.halt, Workers: k.workers[:min(len(k.workers), maxPresent)]}
	v.Totals.Workers = len(k.workers)
	for _, w := range k.workers {
		v.Totals.Live += w.Live
		v.Totals.Slots += w.Slots
	}
	for session, row := range k.rows {
		row.State, row.Waiting, row.Age = row.record.State(now), k.waiting[session], now.Sub(row.Created)
		if row.record.Run != nil {
			row.Waiting -= min(row.Waiting, 1)
		}
		v.count(row)
	}
	for session, n := range k.waiting {
		if _, known := k.rows[session]; !known && queue.ValidSession(session) {
			v.count(Row{Session: session, State: registry.StateIdle, Waiting: n})
		}
	}
	slices.SortFunc(v.Rows, nearest)
	if v.More = max(len(v.Rows)-MaxRows, 0); v.More > 0 {
		v.Rows = slices.Clone(v.Rows[:MaxRows]) // the others are not kept
	}
	v.Ends = latest(k.ends)
	return v
}

// count adds a session to the view where it runs or has work.
func (v *View) count(row Row) {
	v.Totals.Jobs += row.Waiting
	over := row.State == registry.StateExpired || row.State == registry.StateCancelled
	switch {
	case over && (row.record.Run != nil || row.Waiting > 0):
		v.Totals.Ending++
	case row.State == registry.StateRunning:
		v.Totals.Running++
	case row.State == registry.StateBackoff:
		v.Totals.Backoff++
	case row.State == registry.StatePaused:
		v.Totals.Paused++
	case row.State == registry.StateIdle && row.Waiting > 0:
		v.Totals.Queued++
	default:
		return
	}
	v.Rows = append(v.Rows, row)
}

// nearest orders rows by their curfew, which stands still, so that rows stay where they are. Sessions that no worker has
// taken up come last.
func nearest(a, b Row) int {
	if a.Created.IsZero() != b.Created.IsZero() {
		if a.Created.IsZero() {
			return 1
		}
		return -1
	}
	return cmp.Or(a.Created.Add(a.MaxAge).Compare(b.Created.Add(b.MaxAge)), cmp.Compare(a.Session, b.Session))
}

// latest are the ends that came last.
func latest(ends map[string]End) []End {
	var out []End
	later := func(a, b End) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Session, b.Session)) }
	for _, e := range ends {
		if len(out) == maxEnds && later(out[maxEnds-1], e) < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(out, e, later)
		out = slices.Insert(out, at, e)
		out = out[:min(len(out), maxEnds)]
	}
	return out
}
