package supervisor

import (
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// chase is the killing under way. It goes in rounds, between which messages and
// signals are heard: a look at what descends from the supervisor, a signal to
// those it is about.
type chase struct {
	quarries []*quarry // runs whose deadline has passed
	round    time.Time // when their next round is due
	sweep    sweep
	struck   map[int]uint64 // pid and start of everybody killed after the end of the worker
	killed   int            // how many these were
	left     []int          // who was still alive at the last look after it
}

// sweep kills what is left when no run is open: then nothing but the worker has
// a reason to be alive, whatever it did to hide where it came from.
type sweep struct {
	at    time.Time // the next round, zero when there is none
	until time.Time // when to give up
	clean int       // rounds that found nothing
}

const (
	chaseRound = 2 * time.Millisecond
	chaseTime  = 2 * time.Second
	// sweepWait keeps a busy worker's supervisor from looking after every run.
	sweepWait = 200 * time.Millisecond
	// cleanRounds that find nothing, one after the other, are an end: in one
	// alone somebody may have been on the way from one parent to another.
	cleanRounds = 2
	// freezeRounds bounds the search for what an expired run has made until all
	// of it stands still.
	freezeRounds = 4
)

// quarry is a run that is being killed. What belongs to it is known by its
// descent, and, for those whose parents have ended, by the groups and sessions
// that its members lead.
type quarry struct {
	run    *run
	frozen bool           // everybody was stopped once, so that nobody slips away
	known  map[int]uint64 // pid and start of its members
	leads  map[int]bool   // numbers of its groups and sessions
	until  time.Time
	clean  int
}

// begin takes a run up. One that is not spawned yet is taken up then.
func (c *chase) begin(r *run) {
	if r.pid == 0 || slices.ContainsFunc(c.quarries, func(q *quarry) bool { return q.run == r }) {
		return
	}
	r.killCgroup()
	r.signal(unix.SIGSTOP)
	q := &quarry{run: r, known: map[int]uint64{}, leads: map[int]bool{r.pid: true}, until: time.Now().Add(chaseTime)}
	// As long as its pidfd finds somebody, dead or alive, its number is its own, and
	// it stays taken while anybody is in its group or session: whoever has it
	// otherwise is a stranger.
	if p, ok := look(r.pid); ok {
		if unix.PidfdSendSignal(r.pidfd, 0, nil, 0) == nil {
			q.known[p.pid] = p.start
		} else if r.pidfd >= 0 {
			delete(q.leads, r.pid)
		}
	}
	c.quarries = append(c.quarries, q)
	c.round = time.Now()
}

// end lets a run go: the worker has collected it.
func (c *chase) end(r *run) {
	c.quarries = slices.DeleteFunc(c.quarries, func(q *quarry) bool { return q.run == r })
}

func (c *chase) sweepNow() { c.sweep = sweep{at: time.Now(), until: time.Now().Add(chaseTime)} }

func (c *chase) sweepLater() {
	at := time.Now().Add(sweepWait)
	c.sweep = sweep{at: at, until: at.Add(chaseTime)}
}

// next is when the next round is due, zero when there is nothing to do.
func (c *chase) next(lost bool) time.Time {
	if lost {
		return c.round
	}
	at := c.sweep.at
	if len(c.quarries) > 0 && (at.IsZero() || c.round.Before(at)) {
		at = c.round
	}
	return at
}

// pursue does the rounds that are due.
func (s *supervisor) pursue(now time.Time) {
	c := &s.chase
	if s.worker.lost {
		if !now.Before(c.round) {
			s.clearAll()
			c.round = time.Now().Add(chaseRound)
		}
		return
	}
	if len(c.quarries) > 0 && !now.Before(c.round) {
		s.strike(now)
		c.round = time.Now().Add(chaseRound)
	}
	if !c.sweep.at.IsZero() && !now.Before(c.sweep.at) {
		s.sweepRound(now)
	}
}

// clearAll kills everything, the worker included.
func (s *supervisor) clearAll() {
	c := &s.chase
	if c.struck == nil {
		c.struck = map[int]uint64{s.worker.pid: 0}
	}
	c.left = c.left[:0]
	for _, p := range s.tree.under(os.Getpid()) {
		if p.dead {
			continue
		}
		p.signal(unix.SIGKILL)
		c.left = append(c.left, p.pid)
		if _, known := c.struck[p.pid]; !known {
			c.struck[p.pid] = p.start
			c.killed++
		}
	}
}

// strike kills the members of the runs whose deadline has passed.
func (s *supervisor) strike(now time.Time) {
	c := &s.chase
	procs := s.freeze()
	c.quarries = slices.DeleteFunc(c.quarries, func(q *quarry) bool {
		q.run.signal(unix.SIGKILL)
		alive := 0
		for _, p := range q.members(procs, s) {
			p.signal(unix.SIGKILL)
			alive++
		}
		switch {
		case alive > 0:
			q.clean = 0
		default:
			q.clean++
		}
		if alive > 0 && now.After(q.until) {
			s.say("%d processes of run %d, whose lease is over, could not be killed", alive, q.run.pid)
			return true
		}
		return q.clean >= cleanRounds
	})
}

// freeze stops the members of the new quarries until a look finds no other: who
// stands still makes no children and leaves no parent. It answers the last look.
func (s *supervisor) freeze() []proc {
	procs := s.tree.under(os.Getpid())
	for range freezeRounds {
		found := false
		for _, q := range s.chase.quarries {
			if q.frozen {
				continue
			}
			before := len(q.known)
			for _, p := range q.members(procs, s) {
				p.signal(unix.SIGSTOP)
			}
			found = found || len(q.known) > before
		}
		if !found {
			break
		}
		procs = s.tree.under(os.Getpid())
	}
	for _, q := range s.chase.quarries {
		q.frozen = true
	}
	return procs
}

// members picks the live ones of the quarry among the supervisor's descendants,
// and remembers them.
func (q *quarry) members(procs []proc, s *supervisor) []proc {
	of := map[int]bool{}
	for grown := true; grown; {
		grown = false
		for _, p := range procs {
			if of[p.pid] || p.pid == s.worker.pid || s.ownedByOther(p) {
				continue
			}
			start, known := q.known[p.pid]
			if known && start == p.start || of[p.parent] || q.leads[p.group] || q.leads[p.session] {
				of[p.pid], grown = true, true
				q.known[p.pid], q.leads[p.pid] = p.start, true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(procs), func(p proc) bool { return !of[p.pid] || p.dead })
}

// ownedByOther says that a process is, or is in the group or session of, the
// main process of a run that may live: a number that came back, at worst.
func (s *supervisor) ownedByOther(p proc) bool {
	for _, r := range s.runs {
		if !r.expired && r.pid != 0 && (r.pid == p.pid || r.pid == p.group || r.pid == p.session) {
			return true
		}
	}
	return false
}

// sweepRound is one round of the sweep. The worker is heard between the look and the
// kill: a fork is announced before it happens, so who belongs to a run that has
// just begun is known by then.
func (s *supervisor) sweepRound(now time.Time) {
	c := &s.chase
	if s.anyLive() {
		c.sweep = sweep{}
		return
	}
	procs := s.tree.under(os.Getpid())
	procs = slices.DeleteFunc(procs, func(p proc) bool { return p.dead || p.pid == s.worker.pid })
	s.hearWorker()
	switch {
	case s.anyLive() || s.worker.lost:
		c.sweep = sweep{}
		return
	case len(procs) == 0:
		c.sweep.clean++
	case now.After(c.sweep.until):
		s.say("%d processes are left of runs that are over and could not be killed", len(procs))
		c.sweep = sweep{}
		return
	default:
		c.sweep.clean = 0
	}
	for _, p := range procs {
		p.signal(unix.SIGKILL)
	}
	c.sweep.at = now.Add(chaseRound)
	if c.sweep.clean >= cleanRounds {
		c.sweep = sweep{}
	}
}
