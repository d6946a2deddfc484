package jobs

const (
	maxWorkers = 3
	maxJobs    = 3
	wake       = 15 // in place of a job's number: the hint is a wake
	over       = 9  // in place of a worker's token: its adoption has ended
)

// Message states.
const (
	unpublished = iota
	pending
	inFlight
	delayed // handed back with a delay
	gone
	parked    // handed back until somebody's order
	forgotten // in the stream, and the consumer delivers it no more
)

// Outcomes of a run, and of a job.
const (
	good       = 1
	stopped    = 2
	dead       = 3 // a dead letter
	replaced   = 4
	buried     = 5 // with its session, without a commit of its own
	crashed    = 6 // again, after a backoff
	handedBack = 7
	paused     = 8
)

// step is where a worker is. Each names what it does next.
type step uint8

const (
	idle step = iota
	stepRead
	stepAcquire
	stepLook
	stepReread
	stepOpen
	stepOpenCheck // the opening write had no answer
	stepBrake     // is the fleet halted?
	stepSpawn
	stepRun
	stepClose
	stepCloseCheck // the closing write was refused, or had no answer
	stepLetter
	stepEvent
	stepRemove
	stepTombstone
	stepBuryList
	stepBuryLetter
	stepBuryEvent
	stepBuryRemove
	stepRelease
	stepReleaseKept   // paused or in backoff
	stepReleaseForced // drain, halt, crash
	stepReleaseForeign
	stepLeft
	stepHandBack
	stepNak
	stepAbandon // the lease is lost: nothing is sent
	off         // drained
	dying       // crashed
)

var stepNames = [...]string{
	"idle", "read", "acquire", "look", "reread", "open", "open check", "brake", "spawn", "run", "close", "close check", "letter", "event", "remove", "tombstone",
	"bury list", "bury letter", "bury event", "bury remove", "release", "release kept", "release forced", "release foreign", "left", "hand back", "nak", "abandon", "off", "dying",
}

// record is the session's entry in the bucket (registry.Record).
type record struct {
	rev                                 uint8
	done                                uint8 // the done mark
	runToken, runSeq                    uint8 // the open run
	unsettled                           uint8
	lastSeq, lastOutcome, lastToken     uint8 // the job that ended last
	tombstone, replace, paused, resting uint8 // resting: in backoff
}

// lease is what Redis knows of the session (registry/lua).
type lease struct{ lock, token, released, knocks, knockSeq uint8 }

type worker struct {
	at         step
	hint, job  uint8
	sub        uint8 // the job whose subprocess is alive
	fence      uint8
	trust      uint8 // trusts its lease
	frozen     uint8
	outcome    uint8
	seen, kseq uint8 // knocks, and the highest sequence asked with, as last answered
	draining   uint8
	told       uint8 // token of the open run that acquire was told of
	delay      uint8 // the message state that a nak leads to
	resent     uint8 // the release was sent again
	brake      uint8 // believes that the fleet is halted
	late       uint8 // opened its run after the halt was written
	view       record
}

type message struct{ state, holder uint8 }

// state is one state of the whole. It is compared and hashed: no pointers.
type state struct {
	jobs            [maxJobs]message
	wake            message
	wakeSeq         uint8
	rec, prev       record
	redis, snapshot lease
	snapshotTaken   uint8
	expired, halted uint8
	workers         [maxWorkers]worker

	// The truth, which no worker sees.
	ended, event       [maxJobs]uint8 // outcome that was committed; of the final event
	letters            uint8          // a bit for each job
	lastFence, lastJob uint8
	faulty             uint8 // something went wrong: slow timers count
	lossy              uint8 // Redis has lost something
	broken             promise

	left Faults
}

func (s *state) inStream(job uint8) bool {
	at := s.jobs[job-1].state
	return at != unpublished && at != gone
}

// trusting says whether a token's holder still trusts its lease.
func (s *state) trusting(token uint8) bool {
	return token >= 1 && token <= maxWorkers && s.workers[token-1].trust == 1
}

// put writes the record.
func (s *state) put(r record) {
	s.prev = s.rec
	r.rev = s.rec.rev + 1
	s.rec = r
}

// endAdoption gives the worker's token up, so that its next adoption has another.
func (s *state) endAdoption(i int) {
	token := uint8(i + 1) //nolint:gosec // three at most
	renamed := func(all ...*uint8) {
		for _, x := range all {
			if *x == token {
				*x = over
			}
		}
	}
	renamed(&s.redis.lock, &s.redis.token, &s.snapshot.lock, &s.snapshot.token)
	for _, r := range []*record{&s.rec, &s.prev} {
		renamed(&r.runToken, &r.lastToken)
	}
	for x := range s.workers {
		w := &s.workers[x]
		renamed(&w.view.runToken, &w.view.lastToken, &w.told)
	}
}

func (s *state) toIdle(i int) {
	was := s.workers[i]
	s.endAdoption(i)
	s.workers[i] = worker{brake: was.brake}
	if was.draining == 1 {
		s.workers[i].at = off
	}
}

// canonical makes states equal that differ only in what nobody can tell: revisions keep their order and lose their values, knocks
// that nobody will compare are dropped.
func (c *Config) canonical(s state) state {
	holder := -1
	for i := range c.Workers {
		if s.workers[i].trust == 1 {
			if holder >= 0 {
				holder = -2
				break
			}
			holder = i
		}
	}
	switch {
	case s.lossy != 0:
	case holder >= 0:
		if s.redis.knocks != s.workers[holder].seen {
			s.redis.knocks = 1
		} else {
			s.redis.knocks = 0
		}
		s.workers[holder].seen = 0
	case holder == -1:
		s.redis.knocks = 0
	}
	if s.wake.state == unpublished {
		s.wakeSeq = 0
	}
	if s.left.StaleRead == 0 {
		s.prev = record{}
	}
	if s.redis.knockSeq <= s.rec.done && s.lossy == 0 {
		s.redis.knockSeq = 0
	}
	revisions := []*uint8{&s.rec.rev, &s.prev.rev, &s.lastFence}
	for i := range c.Workers {
		revisions = append(revisions, &s.workers[i].view.rev, &s.workers[i].fence)
	}
	var used [128]bool
	used[0] = true
	for _, r := range revisions {
		used[*r] = true
	}
	var rank [128]uint8
	n := uint8(0)
	for i := range used {
		if used[i] {
			rank[i] = n
			n++
		}
	}
	for _, r := range revisions {
		*r = rank[*r]
	}
	return s
}
