package lease

// do is what registry/lua does with a request.
func (c *Config) do(s *state, q request) (answer, knocks uint8) {
	switch q.kind {
	case acquire:
		return c.acquire(s, q)
	case renew:
		return c.renew(&s.redis, q), 0
	case release:
		return c.release(&s.redis, q)
	case none:
	}
	return refused, 0
}

func (r *redis) give(token, ttl uint8) {
	r.lock, r.ttl, r.token, r.until, r.released, r.old = token, ttl, token, ttl, 0, 0
	r.missing, r.missingFor, r.missingOld = 0, 0, 0
}

func (c *Config) acquire(s *state, q request) (answer, knocks uint8) {
	r := &s.redis
	if r.lock == q.token {
		r.give(q.token, c.TTL)
		return done, r.knocks
	}
	if r.lock != 0 {
		if c.Knocks && r.knocks < 2 {
			r.knocks++
		}
		return refused, 0
	}
	if r.released == q.token {
		if c.TokenUsedUp {
			return refused, 0
		}
		s.broken = usedUp
	}
	released := r.token != 0 && r.released == r.token
	if c.Until && r.token != 0 && !released && r.until > 0 {
		return refused, 0
	}
	if q.open != 0 && c.missing(r, q.open, released) {
		return refused, 0
	}
	r.give(q.token, c.TTL)
	return done, r.knocks
}

// missing: a run is open whose lease this memory does not know.
func (c *Config) missing(r *redis, open uint8, released bool) bool {
	known := r.token == open && (!c.Incarnation || r.old == 0)
	if known && (c.KnownIsOver || released) || !c.MissingWait {
		return false
	}
	if c.Incarnation && r.missingOld == 1 || c.MissingByRun && r.missingFor != open {
		r.missing = 0
	}
	if r.missing == 0 {
		r.missing, r.missingFor, r.missingOld = c.TTL+1, open, 0
	}
	return r.missing > 1
}

func (c *Config) renew(r *redis, q request) uint8 {
	switch {
	case r.lock == q.token:
	case r.lock != 0 && c.TakeOldLock && r.old == 1:
	case r.lock == 0 && r.released != q.token:
	default:
		return refused
	}
	r.give(q.token, c.TTL)
	return done
}

func (c *Config) release(r *redis, q request) (answer, knocks uint8) {
	if r.lock != q.token {
		return done, 0 // another's: nothing is changed
	}
	if c.Knocks && r.knocks != q.seen && q.forced == 0 {
		return lookAgain, r.knocks
	}
	r.lock, r.ttl, r.token, r.released, r.old = 0, 0, q.token, q.token, 0
	return done, 0
}
