package jobs

import "curfew/integration/model/search"

type emit = search.Emit[state]

// moves collects the transitions out of one state.
type moves struct {
	c    *Config
	s    state
	emit emit
}

func (m *moves) to(class search.Class, s state, format string, args ...any) {
	m.emit(class, m.c.canonical(s), format, args...)
}

func (c *Config) next(s state, emit emit) {
	m := &moves{c: c, s: s, emit: emit}
	m.outside()
	if s.faulty != 0 {
		m.timers()
	}
	m.faults()
	for i := range c.Workers {
		m.worker(i)
	}
}

// kind is the conflict policy of a job.
func (c *Config) kind(job uint8) byte {
	if job == 0 || int(job) > len(c.Kinds) {
		return 'q'
	}
	return c.Kinds[job-1]
}

// outside is what producers and operators do.
func (m *moves) outside() {
	for job := range m.c.Jobs {
		if m.s.jobs[job].state == unpublished {
			n := m.s
			n.jobs[job].state = pending
			m.to(search.Outside, n, "publish %d", job+1)
			break
		}
	}
	order := func(left func(*state) *uint8, possible bool, write func(*record), what string) {
		n := m.s
		if *left(&n) == 0 || !possible {
			return
		}
		*left(&n)--
		r := m.s.rec
		write(&r)
		n.put(r)
		m.to(search.Outside, n, "%s", what)
	}
	order(func(s *state) *uint8 { return &s.left.Cancel }, m.s.rec.tombstone == 0, func(r *record) { r.tombstone = 2 }, "CANCEL is written")
	order(func(s *state) *uint8 { return &s.left.Pause }, m.s.rec.paused == 0 && m.s.rec.tombstone == 0, func(r *record) { r.paused = 1 }, "PAUSE is written")
	if m.s.rec.paused == 1 {
		n := m.s
		r := m.s.rec
		r.paused = 0
		n.put(r)
		m.wakeAll(&n)
		m.to(search.Outside, n, "the budget is raised, wake")
	}
	if m.s.left.Expire > 0 {
		n := m.s
		n.left.Expire--
		n.expired = 1
		m.to(search.Outside, n, "the curfew passes")
	}
	m.halt()
	m.replaceNoted()
}

func (m *moves) wakeAll(n *state) {
	n.wake = message{state: pending}
	for job := range m.c.Jobs {
		if m.s.inStream(uint8(job + 1)) { //nolint:gosec // three at most
			n.wakeSeq = uint8(job + 1) //nolint:gosec // three at most
		}
	}
}

// halt is the fleet's: it lies beside the records, and a worker learns of it by a nudge or by reading.
func (m *moves) halt() {
	if m.s.left.Halt > 0 && m.s.halted == 0 {
		n := m.s
		n.left.Halt--
		n.halted = 1
		m.to(search.Outside, n, "HALT is written")
	}
	if m.s.halted == 1 {
		n := m.s
		n.halted = 0
		for i := range n.workers {
			n.workers[i].late = 0
		}
		m.to(search.Outside, n, "the halt is ended")
	}
}

// replaceNoted is a holder's listener: a job that replaces the running one is noted in the record.
func (m *moves) replaceNoted() {
	for job := uint8(1); int(job) <= m.c.Jobs; job++ {
		if m.c.kind(job) != 'r' || !m.s.inStream(job) || m.s.rec.replace >= job || m.s.rec.done >= job {
			continue
		}
		for i := range m.c.Workers {
			if w := &m.s.workers[i]; w.trust == 1 && w.at == stepRun && w.frozen == 0 {
				n := m.s
				r := m.s.rec
				r.replace = job
				n.put(r)
				m.to(search.Outside, n, "that %d replaces the older ones is noted", job)
				break
			}
		}
	}
}

// timers run out where something went wrong.
func (m *moves) timers() {
	deliveredAgain := func(at *message, hint uint8, what string) {
		switch at.state {
		case delayed:
			m.toChanged(search.Timer, at, message{state: pending}, "the delay of "+what+" is over")
		case inFlight:
			if w := &m.s.workers[at.holder]; w.hint != hint || w.frozen != 0 || w.at == dying {
				m.toChanged(search.Timer, at, message{state: pending}, "the AckWait of "+what+" is over")
			}
		}
	}
	for job := range m.c.Jobs {
		deliveredAgain(&m.s.jobs[job], uint8(job+1), "a job") //nolint:gosec // three at most
	}
	deliveredAgain(&m.s.wake, wake, "the wake")
	m.roused()
	if m.s.redis.lock != 0 && !m.s.trusting(m.s.redis.lock) {
		n := m.s
		n.redis.lock = 0
		m.to(search.Timer, n, "the lock expires")
	}
	if m.s.rec.resting == 1 {
		n := m.s
		n.rec.resting, n.prev.resting = 0, 0 // the clock passes not_before: nobody writes
		for i := range n.workers {
			n.workers[i].view.resting = 0
		}
		m.to(search.Timer, n, "the backoff is over")
	}
}

// roused: the sweeper finds a job that nobody will be told of, and wakes its session (worker/rouse.go).
func (m *moves) roused() {
	for job := uint8(1); int(job) <= m.c.Jobs; job++ {
		if m.c.Rouse && m.s.jobs[job-1].state == forgotten && m.s.wake.state == unpublished && m.s.halted == 0 {
			n := m.s
			n.wake, n.wakeSeq = message{state: pending}, max(m.s.wakeSeq, job)
			m.to(search.Timer, n, "the sweeper finds forgotten %d, wake", job)
		}
	}
}

// toChanged leads to the same state with one message changed, which is one of m.s.
func (m *moves) toChanged(class search.Class, at *message, now message, format string, args ...any) {
	before := *at
	*at = now
	n := m.s
	*at = before
	m.to(class, n, format, args...)
}

func (m *moves) faults() {
	fault := func(left func(*state) *uint8, possible bool, change func(*state), what string) {
		n := m.s
		if *left(&n) == 0 || !possible {
			return
		}
		*left(&n)--
		n.faulty = 1
		change(&n)
		m.to(search.Fault, n, "%s", what)
	}
	for job := range m.c.Jobs {
		fault(func(s *state) *uint8 { return &s.left.EarlyAckWait }, m.s.jobs[job].state == inFlight,
			func(s *state) { s.jobs[job] = message{state: pending} }, "AckWait ends too early")
		at := m.s.jobs[job].state
		fault(func(s *state) *uint8 { return &s.left.Forget }, at == pending || at == inFlight || at == delayed || at == parked,
			func(s *state) { s.jobs[job] = message{state: forgotten} }, "A DELIVERY IS FORGOTTEN")
	}
	fault(func(s *state) *uint8 { return &s.left.Evict }, m.s.redis.lock != 0, func(s *state) { s.redis.lock = 0 }, "THE LOCK IS EVICTED")
	fault(func(s *state) *uint8 { return &s.left.RedisLoss }, true, func(s *state) { s.redis, s.lossy = lease{}, 1 }, "REDIS FORGETS")
	if m.s.left.Rollback > 0 && m.s.snapshotTaken == 0 {
		n := m.s
		n.snapshotTaken, n.snapshot = 1, m.s.redis
		m.to(search.Fault, n, "the replica hears nothing from here on")
	}
	if m.s.snapshotTaken == 1 {
		n := m.s
		n.left.Rollback--
		n.faulty, n.lossy = 1, 1
		n.redis, n.snapshotTaken, n.snapshot = m.s.snapshot, 0, lease{}
		m.to(search.Fault, n, "THE REPLICA IS PROMOTED")
	}
}
