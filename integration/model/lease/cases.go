package lease

// Case is one configuration with what is expected of it.
type Case struct {
	Name   string
	Broken string // the promise that must be found broken, "" for none
	Why    string // of a mutant: what its missing rule is for
	Short  bool   // small enough for every test run
	set    func(*Config)
}

// Config is the configuration of the case.
func (c Case) Config() Config {
	conf := base()
	c.set(&conf)
	return conf
}

// Cases are all configurations: the lease as built under each kind of accident, then one rule less at a time.
func Cases() []Case { return append(asBuilt(), mutants()...) }

func asBuilt() []Case {
	ok := func(name string, set func(*Config)) Case { return Case{Name: name, set: set} }
	brief := func(name string, set func(*Config)) Case { // a lease of three ticks
		return ok(name, func(c *Config) { c.TTL = 3; set(c) })
	}
	short := func(c Case) Case { c.Short = true; return c }
	return []Case{
		brief("a late request", func(c *Config) { c.Late = 1 }),
		ok("Redis forgets", func(c *Config) { c.Loss = 1 }),
		brief("Redis forgets twice", func(c *Config) { c.Loss = 2 }),
		brief("Redis forgets, a late request", func(c *Config) { c.Loss, c.Late = 1, 1 }),
		brief("Redis forgets, freeze", func(c *Config) { c.Loss, c.Freeze = 1, 1 }),
		brief("Redis forgets, stale read", func(c *Config) { c.Loss, c.StaleRead = 1, 1 }),
		brief("lock evicted, freeze", func(c *Config) { c.EvictLock, c.Freeze = 1, 1 }),
		brief("both keys evicted", func(c *Config) { c.EvictLock, c.EvictHash = 1, 1 }),
		brief("lock evicted, Redis forgets", func(c *Config) { c.EvictLock, c.Loss = 1, 1 }),
		brief("promotion", func(c *Config) { c.Rollback = 1 }),
		brief("promotion, freeze", func(c *Config) { c.Rollback, c.Freeze = 1, 1 }),
		ok("promotion, Redis forgets", func(c *Config) { c.TTL, c.Rollback, c.Loss = 2, 1, 1 }),
		ok("two promotions", func(c *Config) { c.TTL, c.Rollback = 2, 2 }),
		ok("promotion, a late request", func(c *Config) { c.TTL, c.Rollback, c.Late = 2, 1, 1 }),
		brief("promotion, stale read", func(c *Config) { c.Rollback, c.StaleRead = 1, 1 }),
		ok("a clock that jumps by less than the margin", func(c *Config) { c.Margin, c.ClockStep = 2, 1 }),
		ok("the same, and Redis forgets", func(c *Config) { c.Margin, c.ClockStep, c.Loss = 2, 1, 1 }),
		ok("releases sent again, Redis forgets, a late request", func(c *Config) { c.TTL, c.Knocks, c.Loss, c.Late = 2, true, 1, 1 }),
		ok("releases sent again, promotion, a late request", func(c *Config) { c.TTL, c.Knocks, c.Rollback, c.Late = 2, true, 1, 1 }),
		short(ok("connected, Redis forgets", func(c *Config) { c.Connected, c.Loss = true, 1 })),
		short(ok("connected, Redis forgets, stale read", func(c *Config) { c.Connected, c.Loss, c.StaleRead = true, 1, 1 })),
		short(ok("connected, both keys evicted", func(c *Config) { c.Connected, c.EvictLock, c.EvictHash = true, 1, 1 })),
		short(ok("connected, promotion", func(c *Config) { c.Connected, c.Rollback = true, 1 })),
	}
}

func mutants() []Case {
	two, runLost := promises[oneSubprocess], promises[keepsRun]
	without := func(name, broken, why string, set func(*Config)) Case {
		return Case{Name: "without " + name, Broken: broken, Why: why, set: set}
	}
	short := func(c Case) Case { c.Short = true; return c }
	return []Case{
		short(without("a margin", two, "Redis counts whole ticks, and so does the holder", func(c *Config) { c.Margin = 0 })),
		without("a margin for a clock that jumps", two, "the jump eats the margin", func(c *Config) { c.ClockStep, c.Loss = 1, 1 }),
		short(without("counting trust from the sending", two, "an answer may be as late as the lease is long", func(c *Config) { c.TrustFromSend = false })),
		short(without("superseding only what acquire was told of", two, "after a loss of memory two are granted the session", func(c *Config) { c.Supersede, c.Loss = false, 1 })),
		short(without("until", two, "an evicted lock does not end its holder's trust", func(c *Config) { c.Until, c.EvictLock = false, 1 })),
		without("a supervisor", two, "a frozen worker ends nothing", func(c *Config) { c.Supervisor, c.Freeze = false, 1 }),
		short(without("the wait for a missing lease", two, "a holder that Redis forgot lives on for its trust window", func(c *Config) { c.MissingWait, c.Loss = false, 1 })),
		without("the incarnation", two, "a promoted replica knows an older lease of the same token", func(c *Config) { c.TTL, c.Incarnation, c.TakeOldLock, c.Rollback = 3, false, false, 1 }),
		without("an end to a second release", two, "the first release arrives late, at a lease that goes on", func(c *Config) {
			c.TTL, c.OneRelease = 2, false
			c.Knocks, c.Loss, c.Late = true, 1, 1
		}),
		short(without("refusing a token that was released", promises[usedUp], "a late acquire locks a session for nobody", func(c *Config) { c.TTL, c.TokenUsedUp, c.Late = 3, false, 1 })),
		short(without("asking on when renewal is refused", runLost, "the other was granted what it may not use", func(c *Config) { c.KeepAsking, c.Connected, c.Loss = false, true, 1 })),
		short(without("asking at once", runLost, "the next renewal meets the next of those others", func(c *Config) { c.AskAtOnce, c.Connected, c.Loss = false, true, 1 })),
		short(without("taking an old lock and asking at once", runLost, "a promotion brings back a lock that nobody renews", func(c *Config) {
			c.TakeOldLock, c.AskAtOnce, c.Connected, c.Rollback = false, false, true, 1
		})),
	}
}
