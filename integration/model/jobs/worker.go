package jobs

import "curfew/integration/model/search"

// turn is one worker's transitions out of one state.
type turn struct {
	*moves
	i  int
	me uint8 // its token
	w  worker
}

func (t *turn) to(class search.Class, s state, format string, args ...any) {
	t.moves.to(class, s, "w%d "+format, append([]any{t.i + 1}, args...)...)
}

// step leads to where change takes a copy of the state and of this worker.
func (t *turn) step(change func(n *state, w *worker), format string, args ...any) {
	n := t.s
	change(&n, &n.workers[t.i])
	t.to(search.Protocol, n, format, args...)
}

// lostReply is the same request carried out, its answer lost, and the worker at the step that follows from that.
func (t *turn) lostReply(n state, at step, change func(w *worker), what string) {
	if t.s.left.LostReply == 0 {
		return
	}
	trust, fence := n.workers[t.i].trust, n.workers[t.i].fence
	n.workers[t.i] = t.w
	w := &n.workers[t.i]
	w.trust, w.fence, w.at = trust, fence, at
	if change != nil {
		change(w)
	}
	n.left.LostReply--
	t.to(search.Fault, n, "%s (ANSWER LOST)", what)
}

// reread reads the record, perhaps the version before; then says what follows from it.
func (t *turn) reread(at step, what string, then func(n *state, w *worker)) {
	read := func(class search.Class, n state, r record, how string) {
		w := &n.workers[t.i]
		w.view, w.at = r, at
		then(&n, w)
		t.to(class, n, "%s%s", what, how)
	}
	read(search.Protocol, t.s, t.s.rec, "")
	if t.s.left.StaleRead > 0 && t.s.prev != t.s.rec && (!t.c.Monotonic || t.s.prev.rev >= t.w.view.rev) {
		n := t.s
		n.left.StaleRead--
		read(search.Fault, n, t.s.prev, ": STALE")
	}
}

// over: nothing of the session may start any more.
func (t *turn) over(r *record) bool { return r.tombstone != 0 || t.s.expired != 0 }

// current: a compare-and-set on what was read succeeds.
func (t *turn) current() bool { return t.w.view.rev == t.s.rec.rev || !t.c.CAS }

func (m *moves) worker(i int) {
	t := &turn{moves: m, i: i, me: uint8(i + 1), w: m.s.workers[i]} //nolint:gosec // three at most
	t.accidents()
	t.hear()
	if t.w.frozen != 0 || t.w.at == dying || t.w.at == off {
		return
	}
	t.renew()
	t.act()
}

// accidents befall the process.
func (t *turn) accidents() {
	w := t.w
	if w.at != dying && w.at != off && w.at != idle {
		if t.s.left.Crash > 0 {
			n := t.s
			n.left.Crash--
			n.faulty = 1
			if t.c.Linger && w.trust == 1 {
				n.workers[t.i] = worker{at: dying, trust: 1, sub: w.sub}
			} else {
				n.endAdoption(t.i)
				n.workers[t.i] = worker{at: dying}
			}
			t.to(search.Fault, n, "CRASHES at %s", stepNames[w.at])
		}
		if t.s.left.Freeze > 0 && w.frozen == 0 {
			n := t.s
			n.left.Freeze--
			n.faulty = 1
			n.workers[t.i].frozen = 1
			t.to(search.Fault, n, "FREEZES at %s", stepNames[w.at])
		}
	}
	if (w.frozen != 0 || w.at == dying) && w.trust == 1 {
		n := t.s
		n.workers[t.i].trust, n.workers[t.i].sub = 0, 0
		if w.at == dying {
			n.endAdoption(t.i)
			n.workers[t.i] = worker{at: dying}
		}
		t.to(search.Timer, n, "is not trusted any longer: the supervisor kills")
	}
	if w.frozen != 0 {
		n := t.s
		n.workers[t.i].frozen = 0
		t.to(search.Timer, n, "thaws at %s", stepNames[w.at])
	}
}

// hear is the nudge, or the reading every few seconds, that tells of a halt and of its end.
func (t *turn) hear() {
	if w := t.w; w.brake != t.s.halted && w.frozen == 0 && w.at != dying && w.at != off {
		t.step(func(n *state, w *worker) { w.brake = n.halted }, "hears of the halt: %d", t.s.halted)
	}
}

// renew is the renewal of a lease that is not as this worker left it (registry/lua/renew.lua).
func (t *turn) renew() {
	w, r := t.w, t.s.redis
	if w.trust != 1 || r.lock == t.me || w.at == stepAbandon {
		return
	}
	if r.lock == 0 && (r.token != t.me || r.released == 0) {
		t.step(func(n *state, _ *worker) { n.redis.lock, n.redis.token, n.redis.released = t.me, t.me, 0 }, "renews: the lock is set again")
		return
	}
	if r.lock == 0 {
		return // released: on its way out
	}
	mine := t.s.rec.runToken == t.me
	n := t.s
	x := &n.workers[t.i]
	x.trust, x.sub, x.at = 0, 0, stepAbandon
	if !t.c.KeepAsking || !mine {
		if t.c.Needless && mine && w.sub != 0 {
			n.broken = notNeedless
		}
		t.to(search.Protocol, n, "renews: lost")
		return
	}
	// Another's lock, and the own run open: it is asked again until the trust window ends, or that other gives up.
	if t.s.trusting(r.lock) {
		t.to(search.Timer, n, "is not trusted any longer, under another's lock")
	}
}

// act is the worker's own next step.
func (t *turn) act() {
	switch t.w.at {
	case idle:
		t.idle()
	case stepRead:
		t.read()
	case stepAcquire:
		t.acquire()
	case stepReread:
		t.reread(stepLook, "reads the record again", func(_ *state, w *worker) {
			if t.c.AdoptOwnOpen && w.view.runToken == t.me && w.view.runSeq == t.w.job && t.w.job != 0 && t.w.sub == 0 {
				w.at, w.fence = t.c.opened(), w.view.rev
			}
		})
	case stepLook:
		t.look()
	case stepOpen:
		t.open()
	case stepOpenCheck:
		t.reread(stepLook, "reads whether it opened", func(_ *state, w *worker) {
			if w.view.runToken == t.me && w.view.runSeq == t.w.job {
				w.at, w.fence = t.c.opened(), w.view.rev
			}
		})
	case stepBrake:
		t.readBrake()
	case stepSpawn:
		t.start()
	case stepRun:
		t.run()
	case stepClose:
		t.close()
	case stepCloseCheck:
		t.closeCheck()
	case stepLetter, stepEvent, stepRemove:
		t.effects()
	case stepTombstone, stepBuryList, stepBuryLetter, stepBuryEvent, stepBuryRemove:
		t.bury()
	case stepRelease, stepReleaseKept, stepReleaseForced, stepReleaseForeign:
		t.release()
	case stepLeft, stepHandBack, stepNak, stepAbandon:
		t.leave()
	case dying, off:
	}
}
