package jobs

import "curfew/integration/model/search"

// opened is the step after a run was opened. Where no halt can come it is not asked for.
func (c *Config) opened() step {
	if c.Halt == 0 {
		return stepSpawn
	}
	return stepBrake
}

// afterCommit is the first effect of an outcome.
func afterCommit(outcome uint8) step {
	if outcome == dead {
		return stepLetter
	}
	return stepEvent
}

// foreign leaves a session whose record shows a run that this adoption was not told of.
func (t *turn) foreign() {
	t.step(func(_ *state, w *worker) {
		w.at = stepReleaseForeign
		if t.c.ReadAgain && !t.current() {
			w.at = stepReread
		}
	}, "someone else's run is open")
}

// open is worker/begin.go: the compare-and-set that opens a run, or that ends a job without one.
func (t *turn) open() {
	v := t.w.view
	if v.runToken != 0 && v.runToken != t.me && v.runToken != t.w.told && t.c.Supersede {
		t.foreign()
		return
	}
	if !t.current() {
		t.step(func(_ *state, w *worker) { w.at = stepReread }, "open: refused")
		return
	}
	job := t.w.job
	r := v
	r.replace = t.s.rec.replace
	if v.unsettled >= t.c.MaxUnsettled || job < v.replace {
		t.finishWithout(r)
		return
	}
	n := t.s
	if t.s.rec.tombstone != 0 {
		n.broken = nothingAfterTombstone
	}
	r.runToken, r.runSeq = t.me, job
	r.unsettled++
	n.put(r)
	w := &n.workers[t.i]
	w.view, w.fence, w.at, w.late = n.rec, n.rec.rev, t.c.opened(), n.halted
	t.lostReply(n, stepOpenCheck, func(w *worker) { w.fence, w.late = t.w.fence, n.halted }, "OPENS a run of job")
	t.to(search.Protocol, n, "OPENS a run of %d", job)
	t.drain()
}

func (t *turn) finishWithout(r record) {
	n := t.s
	job, outcome := t.w.job, uint8(dead)
	if job < t.w.view.replace {
		outcome = replaced
	} else if t.s.faulty == 0 {
		n.broken = noFalseUnsettled
	}
	r.done, r.lastSeq, r.lastOutcome, r.lastToken = job, job, outcome, t.me
	r.runToken, r.runSeq, r.unsettled, r.resting = 0, 0, 0, 0
	n.put(r)
	n.commit(job, outcome)
	w := &n.workers[t.i]
	w.view, w.outcome, w.at = n.rec, outcome, afterCommit(outcome)
	t.lostReply(n, stepReread, nil, "ends a job without a run")
	t.to(search.Protocol, n, "ENDS %d without a run: %d", job, outcome)
}

// readBrake is worker/brake.go: the leader that took the opening answers whether the fleet was halted before.
func (t *turn) readBrake() {
	halted := t.s.halted == 1
	if !t.c.BrakeAfterOpen {
		halted = t.w.brake == 1 // what was heard by now
	}
	if halted {
		t.step(func(_ *state, w *worker) { w.at, w.outcome, w.brake = stepClose, handedBack, 1 }, "reads that the fleet is halted")
		return
	}
	t.step(func(_ *state, w *worker) { w.at = stepSpawn }, "reads that the fleet is not halted")
}

func (t *turn) start() {
	if t.w.trust == 0 {
		t.step(func(_ *state, w *worker) { w.at = stepAbandon }, "is not trusted any longer, before the start")
		return
	}
	t.step(func(n *state, w *worker) {
		n.spawn(t.i)
		w.at = stepRun
	}, "STARTS %d", t.w.job)
	t.drain()
}

// run is the life of a subprocess, and how it ends.
func (t *turn) run() {
	if t.w.trust == 0 {
		t.step(func(_ *state, w *worker) { w.at, w.sub = stepAbandon, 0 }, "is not trusted any longer, during the run")
		return
	}
	ends := func(class search.Class, outcome uint8, change func(*state), what string) {
		n := t.s
		if change != nil {
			change(&n)
		}
		w := &n.workers[t.i]
		w.sub, w.outcome, w.at = 0, outcome, stepClose
		t.to(class, n, "run of %d ends: %s", t.w.job, what)
	}
	ends(search.Protocol, good, nil, "well")
	if t.c.Dead {
		ends(search.Protocol, dead, nil, "to be buried")
	}
	if t.s.left.Retry > 0 {
		ends(search.Outside, crashed, func(s *state) { s.left.Retry--; s.faulty = 1 }, "crashed")
	}
	if t.over(&t.s.rec) {
		ends(search.Protocol, stopped, nil, "stopped, the session is over")
	}
	if t.s.rec.replace > t.w.job {
		ends(search.Protocol, replaced, nil, "stopped, replaced")
	}
	if t.s.rec.paused == 1 {
		ends(search.Protocol, paused, nil, "stopped, paused")
	}
	if t.w.brake == 1 {
		ends(search.Protocol, handedBack, nil, "stopped, halted")
	}
	t.drain()
}

// drain may begin at any step that a drain looks at.
func (t *turn) drain() {
	if t.s.left.Drain == 0 {
		return
	}
	n := t.s
	n.left.Drain--
	w := &n.workers[t.i]
	w.draining, w.sub, w.at = 1, 0, stepReleaseForced
	if t.w.at == stepRun || t.w.at == stepSpawn {
		w.at, w.outcome = stepClose, handedBack
	}
	t.to(search.Outside, n, "DRAINS at %s", stepNames[t.w.at])
}

// close is worker/close.go: the commit point.
func (t *turn) close() {
	if !t.current() {
		t.step(func(_ *state, w *worker) { w.at = stepCloseCheck }, "close: refused")
		return
	}
	if t.w.view.runToken != t.me {
		t.step(func(_ *state, w *worker) { w.at = stepAbandon }, "close: the own run is gone")
		return
	}
	n := t.s
	w := &n.workers[t.i]
	r := t.w.view
	r.runToken, r.runSeq, r.unsettled = 0, 0, 0
	switch t.w.outcome {
	case crashed:
		r.resting = 1
		w.at = stepReleaseForced
	case handedBack:
		w.at = stepReleaseForced
	case paused:
		w.at = stepReleaseKept
	default:
		r.done, r.lastSeq, r.lastOutcome, r.lastToken = t.w.job, t.w.job, t.w.outcome, t.me
		n.commit(t.w.job, t.w.outcome)
		w.at = afterCommit(t.w.outcome)
	}
	n.put(r)
	w.view = n.rec
	t.lostReply(n, stepCloseCheck, nil, "CLOSES")
	t.to(search.Protocol, n, "CLOSES %d: %d", t.w.job, t.w.outcome)
}

// closeCheck reads whether it was closed: by this adoption, whose token the record's last job names.
func (t *turn) closeCheck() {
	t.reread(stepClose, "reads after the close", func(_ *state, w *worker) {
		v := &w.view
		mine := v.lastToken == t.me || !t.c.LastToken
		switch {
		case v.runToken == t.me: // not closed: again
		case t.w.outcome < crashed && v.lastSeq == t.w.job && mine:
			w.at = afterCommit(t.w.outcome)
		case t.w.outcome >= crashed && v.runToken == 0 && t.s.rec.rev == v.rev: // handed back, by oneself or by whoever was next
			w.at = stepReleaseForced
			if t.w.outcome == paused {
				w.at = stepReleaseKept
			}
		case v.rev != t.s.rec.rev: // older than what refused it: asked again
			w.at = stepCloseCheck
		default:
			w.at = stepAbandon
		}
	})
}

// effects are what follows from a commit (worker/effects.go).
func (t *turn) effects() {
	job, outcome := t.w.job, t.w.outcome
	switch t.w.at {
	case stepLetter:
		t.step(func(n *state, w *worker) { t.c.letter(n, job); w.at = stepEvent }, "DEAD LETTER %d", job)
	case stepEvent:
		t.step(func(n *state, w *worker) { n.finalEvent(job, outcome); w.at = stepRemove }, "FINAL EVENT %d: %d", job, outcome)
	default:
		t.step(func(n *state, w *worker) {
			n.remove(job)
			if w.hint == job {
				w.hint = 0
			}
			w.job, w.outcome, w.fence, w.at, w.late = 0, 0, 0, stepLook, 0
		}, "REMOVES %d", job)
		t.drain()
	}
}
