package jobs

import "curfew/integration/model/search"

// bury ends a session: the tombstone, then letter, event and removal of one job after the other (worker/bury.go).
func (t *turn) bury() {
	job := t.w.job
	switch t.w.at {
	case stepTombstone:
		t.tombstone()
	case stepBuryList:
		t.buryList()
	case stepBuryLetter:
		t.step(func(n *state, w *worker) { t.c.letter(n, job); w.at = stepBuryEvent }, "buries: DEAD LETTER %d", job)
	case stepBuryEvent:
		t.step(func(n *state, w *worker) { n.finalEvent(job, buried); w.at = stepBuryRemove }, "buries: FINAL EVENT %d", job)
	default:
		t.step(func(n *state, w *worker) {
			n.remove(job)
			if w.hint == job {
				w.hint = 0
			}
			w.at, w.job = stepBuryList, 0
			for next := job + 1; int(next) <= t.c.Jobs; next++ {
				if t.s.inStream(next) {
					w.at, w.job = stepBuryLetter, next
					break
				}
			}
		}, "buries: REMOVES %d", job)
	}
}

func (t *turn) tombstone() {
	v := t.w.view
	if !t.current() {
		t.step(func(_ *state, w *worker) { w.at = stepReread }, "tombstone: refused")
		return
	}
	if v.runToken != 0 && v.runToken != t.w.told && v.runToken != t.me && t.c.Supersede {
		t.foreign()
		return
	}
	n := t.s
	if v.tombstone == 0 {
		v.tombstone = 1
	}
	if t.c.BurySupersedes {
		v.runToken, v.runSeq = 0, 0
	}
	n.put(v)
	w := &n.workers[t.i]
	w.view, w.at = n.rec, stepBuryList
	t.lostReply(n, stepReread, nil, "TOMBSTONE")
	t.to(search.Protocol, n, "TOMBSTONE, the open run is superseded")
}

func (t *turn) buryList() {
	first := uint8(0)
	for job := uint8(t.c.Jobs); job > 0; job-- { //nolint:gosec // three at most
		if t.s.inStream(job) {
			first = job
		}
	}
	n := t.s
	w := &n.workers[t.i]
	switch w.job = first; {
	case first == 0:
		w.at = stepRelease
	case first <= t.w.view.done:
		w.at = stepBuryRemove
	default:
		w.at = stepBuryLetter
	}
	t.to(search.Protocol, n, "buries: sees %d", first)
	if t.s.left.StaleLook > 0 && first != 0 {
		n := t.s
		n.left.StaleLook--
		n.workers[t.i].at = stepRelease
		if known := max(t.w.kseq, t.w.hint); t.c.AskKnown && t.w.hint != wake && known != 0 && t.s.inStream(known) {
			n.workers[t.i].at = stepBuryList
		}
		t.to(search.Fault, n, "buries: sees none (A STALE LOOK)")
	}
}

// release is registry/lua/release.lua with what registry/release.go makes of it.
func (t *turn) release() {
	r := t.s.redis
	keptBack := t.w.at == stepReleaseKept
	forced := t.w.at == stepReleaseForced || t.w.at == stepReleaseForeign
	again := t.w.resent == 1 && t.c.ResendForced
	knocked := r.knocks != t.w.seen
	heeds := !forced && (!keptBack || t.c.PauseHeedsKnock)
	n := t.s
	w := &n.workers[t.i]
	switch {
	case r.lock != t.me: // nothing is changed
		t.released(n, false, "release: no longer held")
	case knocked && heeds && !again:
		w.seen, w.kseq = r.knocks, r.knockSeq
		w.at = stepLook
		if keptBack {
			w.at = stepReread
		}
		t.unanswered(n, "release: knocked")
		t.to(search.Protocol, n, "release: knocked, looks again")
	default:
		n.redis.lock, n.redis.released, n.redis.token = 0, 1, t.me
		w.kseq = r.knockSeq
		t.unanswered(n, "release: gone")
		t.released(n, knocked && heeds && again, "release: gone")
	}
}

// unanswered is a release whose answer is lost: it is sent again, once. After the second the redelivery has to do.
func (t *turn) unanswered(n state, what string) {
	if t.w.resent == 1 {
		n.faulty = 1
	}
	t.lostReply(n, t.w.at, func(w *worker) { w.resent, w.kseq = 1, t.s.redis.knockSeq }, what)
}

// released goes on after the lease: where a release that was sent again has answered a knock, as one that leaves work behind.
func (t *turn) released(n state, passOn bool, what string) {
	w := &n.workers[t.i]
	w.trust = 0
	switch {
	case passOn && t.c.ResendLooksAgain:
		w.at = stepHandBack
		what += ", and passes the knock on"
	case t.w.at == stepReleaseKept:
		w.at, w.delay = stepNak, parked
		if t.w.view.resting == 1 || t.c.PauseBound {
			w.delay, n.faulty = delayed, 1
		}
	case t.w.at == stepReleaseForeign, t.w.at == stepReleaseForced && t.w.outcome == crashed:
		w.at, w.delay = stepNak, delayed
	case t.w.at == stepReleaseForced:
		w.at = stepHandBack
	default:
		w.at = stepLeft
	}
	t.to(search.Protocol, n, "%s", what)
}

// mine says that the worker holds its hint's delivery.
func (t *turn) mine(job uint8) bool {
	at := t.s.jobs[job-1]
	return at.state == inFlight && int(at.holder) == t.i
}

// leave settles the hint (worker/leave.go handOn).
func (t *turn) leave() {
	hint := t.w.hint
	holds := hint != 0 && hint != wake && t.mine(hint)
	// There is one place for a wake: one that was published meanwhile stands for both.
	holdsWake := hint == wake && t.s.wake.state == inFlight && int(t.s.wake.holder) == t.i
	switch t.w.at {
	case stepLeft:
		t.step(func(n *state, _ *worker) {
			if holdsWake {
				n.wake = message{}
			} else if holds {
				n.jobs[hint-1] = message{state: pending}
			}
			n.toIdle(t.i)
		}, "has left (hint %d)", hint)
	case stepHandBack:
		t.step(func(n *state, _ *worker) {
			if holds {
				n.jobs[hint-1] = message{state: pending}
			} else if hint == wake || t.c.Wake {
				n.wake = message{state: pending}
				if hint != wake {
					n.wakeSeq = max(t.s.wakeSeq, t.w.kseq, t.w.job)
				}
			}
			n.toIdle(t.i)
		}, "hands back (hint %d)", hint)
	case stepNak:
		t.step(func(n *state, _ *worker) {
			if holdsWake {
				n.wake = message{state: t.w.delay}
				if t.w.delay == gone {
					n.wake = message{}
				}
			} else if holds {
				n.jobs[hint-1] = message{state: t.w.delay}
			}
			n.toIdle(t.i)
		}, "naks hint %d", hint)
	default:
		t.step(func(n *state, _ *worker) { n.toIdle(t.i) }, "drops everything, sends nothing")
	}
}
