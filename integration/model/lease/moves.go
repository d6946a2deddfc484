package lease

import "curfew/integration/model/search"

type moves struct {
	c    *Config
	s    state
	emit search.Emit[state]
}

func (m *moves) to(n state, format string, args ...any) {
	m.emit(search.Protocol, canonical(n), format, args...)
}

func (c *Config) next(s state, emit search.Emit[state]) {
	m := &moves{c: c, s: s, emit: emit}
	m.time()
	m.accidents()
	for i := range s.workers {
		(&turn{moves: m, i: i, w: s.workers[i]}).all()
	}
}

// due: something has to happen before time goes on.
func (m *moves) due() bool {
	for i := range m.s.workers {
		w := &m.s.workers[i]
		if m.ends(w) {
			return true
		}
		held := w.phase == holding && (w.sub == 0 || w.since >= m.c.Renew)
		if m.c.Connected && w.frozen == 0 && (w.asks.kind != none || w.phase == acquiring || held) {
			return true
		}
	}
	return false
}

// ends: the worker's trust is over, and something is there to act on it.
func (m *moves) ends(w *worker) bool {
	return w.phase == holding && w.trust == 0 && (m.c.Supervisor || w.frozen == 0)
}

func (m *moves) time() {
	if m.due() {
		return
	}
	n := m.s
	n.redis.tick()
	if n.snapshotTaken == 1 {
		n.snapshot.tick()
	}
	for i := range n.workers {
		w := &n.workers[i]
		down(&w.trust)
		if w.asks.kind != none && w.age < m.c.TTL {
			w.age++
		}
		if m.c.Connected && w.phase == holding && w.since < m.c.Renew {
			w.since++
		}
	}
	m.to(n, "tick")
}

func (m *moves) accidents() {
	s := m.s
	if s.left.Loss > 0 {
		n := s
		n.left.Loss--
		n.redis = redis{}
		m.to(n, "REDIS FORGETS")
	}
	if s.left.Rollback > 0 && s.snapshotTaken == 0 {
		n := s
		n.snapshotTaken, n.snapshot = 1, s.redis
		m.to(n, "the replica hears nothing from here on")
	}
	if s.snapshotTaken == 1 {
		n := s
		n.left.Rollback--
		n.redis, n.snapshotTaken, n.snapshot = s.snapshot, 0, redis{}
		n.redis.old, n.redis.missingOld = 1, 1
		m.to(n, "THE REPLICA IS PROMOTED")
	}
	if s.left.EvictLock > 0 && s.redis.lock != 0 {
		n := s
		n.left.EvictLock--
		n.redis.lock, n.redis.ttl = 0, 0
		m.to(n, "THE LOCK IS EVICTED")
	}
	if s.left.EvictHash > 0 {
		n := s
		n.left.EvictHash--
		n.redis = redis{lock: s.redis.lock, ttl: s.redis.ttl}
		m.to(n, "THE LEASE'S HASH IS EVICTED")
	}
	if s.left.ClockStep > 0 {
		n := s
		n.left.ClockStep--
		n.redis.tick()
		m.to(n, "REDIS' CLOCK JUMPS AHEAD")
	}
}

// turn is one worker's transitions out of one state.
type turn struct {
	*moves
	i int
	w worker
}

func (t *turn) to(n state, format string, args ...any) {
	t.moves.to(n, "w%d "+format, append([]any{t.i + 1}, args...)...)
}

func (t *turn) step(change func(n *state, w *worker), format string, args ...any) {
	n := t.s
	change(&n, &n.workers[t.i])
	t.to(n, format, args...)
}

func (t *turn) all() {
	t.network()
	if t.ends(&t.w) {
		t.step(func(n *state, w *worker) {
			if t.c.Connected && w.sub == 1 && n.run == w.token {
				n.broken = keepsRun
			}
			n.endAdoption(t.i)
		}, "is not trusted any longer: its subprocess is killed")
	}
	if t.s.left.Freeze > 0 && t.w.frozen == 0 && t.w.phase != idle {
		t.step(func(n *state, w *worker) { n.left.Freeze--; w.frozen = 1 }, "FREEZES")
	}
	if t.w.frozen == 1 {
		t.step(func(_ *state, w *worker) { w.frozen = 0 }, "thaws")
		return
	}
	if t.w.asks.kind != none {
		if t.w.answered == 1 {
			t.hears()
		}
		if !t.c.Connected {
			t.timesOut()
		}
	}
	switch t.w.phase {
	case idle:
		t.begins()
	case holding:
		t.holds()
	case acquiring:
	}
}

// network carries requests to Redis, also those that nobody waits for.
func (t *turn) network() {
	if late := t.w.late; late.kind != none {
		t.step(func(n *state, w *worker) { w.late = request{}; t.c.do(n, late) }, "the LATE %s arrives", kinds[late.kind])
		t.step(func(_ *state, w *worker) { w.late = request{} }, "the late %s never arrives", kinds[late.kind])
	}
	if asks := t.w.asks; asks.kind != none && t.w.answered == 0 {
		n := t.s
		answer, knocks := t.c.do(&n, asks)
		w := &n.workers[t.i]
		w.answer, w.knocks, w.answered = answer, knocks, 1
		t.to(n, "%s reaches Redis: %d", kinds[asks.kind], answer)
	}
}
