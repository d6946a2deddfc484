package jobs

import "curfew/integration/model/search"

// idle takes a hint (worker/take.go), or adopts for the sweeper.
func (t *turn) idle() {
	if t.w.brake == 1 {
		return // halted: nothing is taken
	}
	for job := range t.c.Jobs {
		if t.s.jobs[job].state == pending {
			t.step(func(n *state, w *worker) {
				n.jobs[job] = message{inFlight, uint8(t.i)}                     //nolint:gosec // three at most
				*w = worker{at: stepRead, hint: uint8(job + 1), brake: w.brake} //nolint:gosec // three at most
			}, "gets hint %d", job+1)
		}
	}
	if t.s.wake.state == pending {
		t.step(func(n *state, w *worker) {
			n.wake = message{inFlight, uint8(t.i)} //nolint:gosec // three at most
			*w = worker{at: stepRead, hint: wake, brake: w.brake}
		}, "gets the wake")
	}
	if t.s.left.Sweep > 0 && t.s.expired != 0 {
		n := t.s
		n.left.Sweep--
		n.workers[t.i] = worker{at: stepRead, brake: t.w.brake}
		t.to(search.Outside, n, "adopts, as the sweeper")
	}
}

// read is what comes before the lease is asked for (worker/adopt.go begin).
func (t *turn) read() {
	t.reread(stepAcquire, "reads the record", func(n *state, w *worker) {
		switch v := &w.view; {
		case w.brake == 1:
			w.at, w.delay = stepNak, pending
		case t.over(v): // to be buried, which never waits
		case v.paused == 1:
			w.at, w.delay = stepNak, parked
			if t.c.PauseBound {
				w.delay, n.faulty = delayed, 1
			}
		case v.resting == 1:
			w.at, w.delay = stepNak, delayed
		}
	})
}

// asked is the sequence that an acquire brings along.
func (t *turn) asked() uint8 {
	if t.w.hint == wake {
		return t.s.wakeSeq
	}
	return t.w.hint
}

// acquire is registry/lua/acquire.lua.
func (t *turn) acquire() {
	n := t.s
	w, r := &n.workers[t.i], t.s.redis
	open := t.w.view.runToken
	if !t.c.TellOpen {
		open = 0
	}
	known := r.token == open && r.released == 1
	switch {
	case r.lock != 0 && r.lock != t.me:
		if t.c.Knock {
			n.redis.knocks = (r.knocks + 1) % 8
			n.redis.knockSeq = max(r.knockSeq, t.asked())
		}
		w.at, w.delay = stepNak, delayed
		if t.w.hint == wake {
			w.delay = gone // the knock has told the holder
		}
		t.lostReply(n, stepAcquire, nil, "acquire: held, knock")
		t.to(search.Protocol, n, "acquire: held, knock")
	case r.lock == 0 && r.released == 0 && r.token != t.me && t.s.trusting(r.token):
		w.at, w.delay = stepNak, delayed
		t.to(search.Protocol, n, "acquire: unclean, its time is not over")
	case r.lock == 0 && open != 0 && t.s.trusting(open) && !known:
		w.at, w.delay = stepNak, delayed
		t.to(search.Protocol, n, "acquire: unclean, the open run's lease is not known")
	default:
		n.redis.lock, n.redis.token, n.redis.released = t.me, t.me, 0
		w.trust, w.seen, w.kseq, w.told = 1, r.knocks, r.knockSeq, t.w.view.runToken
		w.at = stepLook
		t.lostReply(n, stepAcquire, nil, "acquire: granted")
		t.to(search.Protocol, n, "acquire: granted (done %d, run %d of job %d)", t.w.view.done, t.w.view.runToken, t.w.view.runSeq)
	}
}

// look is one turn of the holder up to the head (worker/turn.go).
func (t *turn) look() {
	v := &t.w.view
	if t.w.brake == 1 {
		t.step(func(_ *state, w *worker) { w.at, w.outcome = stepReleaseForced, handedBack }, "leaves: the fleet is halted")
		return
	}
	if t.c.Effects && v.lastSeq != 0 && t.s.inStream(v.lastSeq) {
		t.step(func(_ *state, w *worker) {
			w.job, w.outcome = v.lastSeq, v.lastOutcome
			w.at = afterCommit(v.lastOutcome)
		}, "finds finished %d: its effects again", v.lastSeq)
		return
	}
	if leftover := t.leftover(); leftover != 0 {
		t.step(func(_ *state, w *worker) { w.job, w.at = leftover, stepRemove }, "finds leftover %d", leftover)
		return
	}
	switch {
	case t.over(v):
		t.step(func(_ *state, w *worker) {
			w.at = stepBuryList
			if v.tombstone == 0 || t.c.BurySupersedes && v.runToken != 0 {
				w.at = stepTombstone
			}
		}, "adopted to bury")
		return
	case v.paused == 1:
		t.step(func(_ *state, w *worker) { w.at = stepReleaseKept }, "is told to pause")
		return
	case v.resting == 1:
		t.step(func(_ *state, w *worker) { w.at = stepReleaseKept }, "is told to wait")
		return
	}
	t.head()
	t.drain()
}

// leftover is a finished job below the last: its effects came before the next run was opened, so only its message is left.
func (t *turn) leftover() uint8 {
	v := &t.w.view
	left := uint8(0)
	for job := uint8(1); job <= v.done; job++ {
		if t.s.inStream(job) && job != v.lastSeq {
			left = job
		}
	}
	if left == 0 && !t.c.Effects && v.lastSeq != 0 && t.s.inStream(v.lastSeq) {
		return v.lastSeq
	}
	return left
}

func (t *turn) head() {
	head := uint8(0)
	for job := t.w.view.done + 1; int(job) <= t.c.Jobs; job++ {
		if t.s.inStream(job) {
			head = job
			break
		}
	}
	if head == 0 {
		t.step(func(_ *state, w *worker) { w.at = stepRelease }, "head: none")
		return
	}
	none := func(n *state) {
		// What is known to be there is asked for by its number: then the look was stale, and is made again.
		if known := max(t.w.kseq, t.asked()); !t.c.AskKnown || known <= t.w.view.done {
			n.workers[t.i].at = stepRelease
		}
	}
	if t.s.left.StaleLook > 0 {
		n := t.s
		n.left.StaleLook--
		none(&n)
		t.to(search.Fault, n, "head: none (A STALE LOOK)")
	}
	// Only where this adoption has run something: it has seen the stream to its end before, and hears of what is new.
	if t.c.SilentSkip && t.w.view.lastToken == t.me {
		n := t.s
		none(&n)
		if n.workers[t.i].at == stepRelease {
			t.to(search.Protocol, n, "head: none, as nothing new was heard")
		}
	}
	t.step(func(_ *state, w *worker) { w.job, w.at = head, stepOpen }, "head: %d", head)
}
