package lease

// begins reads the record and asks for the lease.
func (t *turn) begins() {
	start := func(n state, open uint8, what string) {
		w := &n.workers[t.i]
		w.phase, w.token, w.told = acquiring, newToken, open
		w.asks = request{kind: acquire, token: newToken, open: open}
		t.to(n, "sends acquire%s", what)
	}
	start(t.s, t.s.run, "")
	if t.s.left.StaleRead > 0 && t.s.run != t.s.runBefore {
		n := t.s
		n.left.StaleRead--
		start(n, t.s.runBefore, ", on a STALE read of the record")
	}
}

// hears is the answer to the request under way.
func (t *turn) hears() {
	n := t.s
	w := &n.workers[t.i]
	asked := t.w.asks.kind
	w.asks, w.answered, w.answer, w.age, w.knocks = request{}, 0, 0, 0, 0
	left := t.c.TTL - t.c.Margin
	if t.c.TrustFromSend {
		left -= min(left, t.w.age)
	}
	switch asked {
	case acquire:
		if t.w.answer == done && left > 0 {
			w.phase, w.trust, w.seen, w.since = holding, left, t.w.knocks, 0
		} else {
			n.endAdoption(t.i)
		}
	case renew:
		t.renewed(&n, left)
	case release:
		if over := t.c.OneRelease && t.w.resent == 1; t.w.answer == lookAgain && !over {
			w.seen = t.w.knocks
		} else {
			n.endAdoption(t.i)
		}
	case none:
	}
	t.to(n, "hears of its %s: %d, trusts for %d", kinds[asked], t.w.answer, n.workers[t.i].trust)
}

func (t *turn) renewed(n *state, left uint8) {
	w := &n.workers[t.i]
	switch {
	case t.w.answer == done:
		w.trust, w.since = max(w.trust, left), 0
	case t.c.KeepAsking && t.s.run == t.w.token:
		w.since = 0
		if t.c.AskAtOnce {
			w.since = t.c.Renew
		}
	default:
		if t.c.Connected && w.sub == 1 && t.s.run == t.w.token {
			n.broken = keepsRun
		}
		n.endAdoption(t.i)
	}
}

// timesOut: a request without an answer is sent again, except a renewal, which has its time. The first may still arrive.
func (t *turn) timesOut() {
	n := t.s
	w := &n.workers[t.i]
	if t.w.answered == 0 && t.s.left.Late > 0 && t.w.late.kind == none {
		n.left.Late--
		w.late = t.w.asks
	}
	w.answered, w.answer, w.knocks = 0, 0, 0
	if t.w.asks.kind == release {
		w.resent = 1
		if t.c.OneRelease {
			w.asks.forced = 1
		}
	}
	if t.w.asks.kind == renew {
		w.asks, w.age = request{}, 0
	}
	t.to(n, "waits no longer for %s, asks again", kinds[t.w.asks.kind])
	if t.w.phase == acquiring {
		t.step(func(n *state, _ *worker) { n.endAdoption(t.i) }, "gives up acquiring")
	}
}

func (t *turn) sends(q request, what string, also func(n *state)) {
	t.step(func(n *state, w *worker) {
		if also != nil {
			also(n)
		}
		w.asks, w.age, w.answered = q, 0, 0
	}, "%s", what)
}

// holds is what a holder may do next.
func (t *turn) holds() {
	w, free := t.w, t.w.asks.kind == none
	mayRenew := !t.c.Connected || w.sub == 1 && w.since >= t.c.Renew
	if free && w.trust > 0 && mayRenew {
		t.sends(request{kind: renew, token: w.token}, "sends renew", nil)
	}
	if w.sub == 1 {
		t.closes(free)
		return
	}
	if w.asks.kind == release {
		return
	}
	switch foreign := t.s.run != 0 && t.s.run != w.token; {
	case foreign && t.c.Supersede && t.s.run != w.told:
		t.sends(request{kind: release, token: w.token, seen: t.s.redis.knocks}, "finds someone else's run, sends release", nil)
	case t.s.run != w.token:
		t.step(func(n *state, _ *worker) { n.runBefore, n.run = t.s.run, w.token }, "OPENS a run")
	case w.trust > 0:
		t.step(func(n *state, x *worker) {
			x.sub = 1
			for other := range n.workers {
				if other != t.i && n.workers[other].sub == 1 {
					n.broken = oneSubprocess
				}
			}
		}, "STARTS a subprocess")
	}
}

// closes ends the run and, where nothing is under way, leaves.
func (t *turn) closes(free bool) {
	w := t.w
	closed := func(n *state) {
		n.workers[t.i].sub = 0
		if t.s.run == w.token {
			n.runBefore, n.run = t.s.run, 0
		}
	}
	if free {
		t.sends(request{kind: release, token: w.token, seen: w.seen}, "CLOSES, sends release", closed)
		return
	}
	t.step(func(n *state, _ *worker) { closed(n) }, "CLOSES")
}
