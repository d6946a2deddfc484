package jobs

// promise is one that a state breaks.
type promise uint8

const (
	kept promise = iota
	oneSubprocess
	inOrder
	noRerun
	accounted
	fenceRises
	nothingAfterTombstone
	accountedOnce
	noRunAfterLetter
	eventAsRecorded
	announced
	notNeedless
	noFalseUnsettled
	nothingAfterHalt
)

var promises = map[promise]string{
	kept:                  "",
	oneSubprocess:         "two live subprocesses",
	inOrder:               "a job ran after a newer one",
	noRerun:               "a closed job ran again",
	accounted:             "a message was removed whose job has neither ended nor a letter",
	fenceRises:            "a fence did not rise",
	nothingAfterTombstone: "a run was opened after the tombstone",
	accountedOnce:         "a job was accounted for twice",
	noRunAfterLetter:      "a job ran after its dead letter",
	eventAsRecorded:       "the final event differs from the record",
	announced:             "a message was removed without its final event or letter",
	notNeedless:           "a connected holder was stopped for nothing",
	noFalseUnsettled:      "a job was buried as unsettled though no worker died",
	nothingAfterHalt:      "a run that was opened after a halt was started",
}

const (
	strandedForEver = "work is stranded for ever"
	strandedIdle    = "work is stranded though nothing went wrong"
)

func bit(job uint8) uint8 { return 1 << (job - 1) }

func (s *state) remove(job uint8) {
	if !s.inStream(job) {
		return
	}
	s.jobs[job-1] = message{state: gone}
	hasLetter := s.letters&bit(job) != 0
	switch {
	case s.ended[job-1] == 0 && !hasLetter:
		s.broken = accounted
	case s.event[job-1] == 0 || s.ended[job-1] == dead && !hasLetter:
		s.broken = announced
	}
}

func (c *Config) letter(s *state, job uint8) {
	if s.letters&bit(job) != 0 && !c.Dedupe {
		s.broken = accountedOnce
	}
	s.letters |= bit(job)
	if s.ended[job-1] != 0 && s.ended[job-1] != dead {
		s.broken = accountedOnce
	}
}

// finalEvent is published once: its id makes the second one a duplicate.
func (s *state) finalEvent(job, outcome uint8) {
	if s.event[job-1] == 0 {
		s.event[job-1] = outcome
	}
	if s.ended[job-1] != 0 && s.event[job-1] != s.ended[job-1] {
		s.broken = eventAsRecorded
	}
}

// commit notes that the end of a job was written.
func (s *state) commit(job, outcome uint8) {
	if s.ended[job-1] != 0 {
		s.broken = accountedOnce
	}
	s.ended[job-1] = outcome
	if outcome != dead && s.letters&bit(job) != 0 {
		s.broken = accountedOnce
	}
	if s.event[job-1] != 0 && s.event[job-1] != outcome {
		s.broken = eventAsRecorded
	}
}

// spawn notes that a subprocess starts.
func (s *state) spawn(i int) {
	w := &s.workers[i]
	for x := range s.workers {
		if s.workers[x].sub != 0 {
			s.broken = oneSubprocess
		}
	}
	switch {
	case s.ended[w.job-1] != 0:
		s.broken = noRerun
	case s.letters&bit(w.job) != 0:
		s.broken = noRunAfterLetter
	case w.job < s.lastJob:
		s.broken = inOrder
	case w.late == 1:
		s.broken = nothingAfterHalt
	}
	if w.fence <= s.lastFence {
		s.broken = fenceRises
	}
	s.lastFence, s.lastJob = w.fence, w.job
	w.sub = w.job
}

// settled: nothing is left to do, or what is left waits for an order, or nobody is there to do it.
func (c *Config) settled(s *state) bool {
	if s.rec.paused == 1 || s.halted == 1 {
		return true
	}
	left := false
	for job := range c.Jobs {
		left = left || s.inStream(uint8(job+1)) //nolint:gosec // three at most
	}
	if !left {
		return true
	}
	for i := range c.Workers {
		if at := s.workers[i].at; at != dying && at != off {
			return false
		}
	}
	return true
}

func (c *Config) stranded(s *state) string {
	if s.faulty != 0 {
		return strandedForEver
	}
	return strandedIdle
}
