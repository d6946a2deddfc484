package jobs

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

// Cases are all configurations: the protocol as built under each kind of fault, then one rule less at a time.
func Cases() []Case { return append(asBuilt(), mutants()...) }

func asBuilt() []Case {
	ok := func(name string, set func(*Config)) Case { return Case{Name: name, set: set} }
	short := func(name string, set func(*Config)) Case { return Case{Name: name, set: set, Short: true} }
	return []Case{
		ok("three workers, three jobs", func(c *Config) { c.Workers, c.Jobs = 3, 3 }),
		ok("crash, three jobs", func(c *Config) { c.Crash, c.Dead, c.Jobs = 1, true, 3 }),
		short("crash, the subprocess lingers", func(c *Config) { c.Crash, c.Linger, c.Dead = 1, true, true }),
		short("two crashes", func(c *Config) { c.Crash, c.Dead = 2, true }),
		ok("freeze", func(c *Config) { c.Freeze, c.Dead = 1, true }),
		ok("two freezes", func(c *Config) { c.Freeze = 2 }),
		short("two lost answers", func(c *Config) { c.LostReply, c.Dead = 2, true }),
		ok("three lost answers", func(c *Config) { c.LostReply = 3 }),
		ok("lost answer, crash", func(c *Config) { c.LostReply, c.Crash, c.Dead = 1, 1, true }),
		ok("lost answer, freeze", func(c *Config) { c.LostReply, c.Freeze, c.Dead = 1, 1, true }),
		ok("lost answer, two stale reads", func(c *Config) { c.LostReply, c.StaleRead = 1, 2 }),
		ok("lost answers, stale reads, two begins at most", func(c *Config) { c.MaxUnsettled, c.LostReply, c.StaleRead = 2, 2, 2 }),
		ok("lost answer, two crashes", func(c *Config) { c.LostReply, c.Crash, c.Linger, c.Dead, c.MaxUnsettled = 1, 2, true, true, 2 }),
		ok("Redis forgets", func(c *Config) { c.RedisLoss, c.Dead = 1, true }),
		ok("Redis forgets, crash", func(c *Config) { c.RedisLoss, c.Crash, c.Linger = 1, 1, true }),
		ok("Redis forgets, freeze", func(c *Config) { c.RedisLoss, c.Freeze = 1, 1 }),
		ok("Redis forgets, lost answer", func(c *Config) { c.RedisLoss, c.LostReply = 1, 1 }),
		ok("Redis forgets, stale read", func(c *Config) { c.RedisLoss, c.StaleRead = 1, 1 }),
		ok("Redis forgets, holder is not stopped", func(c *Config) { c.RedisLoss, c.Needless = 1, true }),
		ok("promotion", func(c *Config) { c.Rollback, c.Dead = 1, true }),
		ok("promotion, crash", func(c *Config) { c.Rollback, c.Crash, c.Linger = 1, 1, true }),
		ok("lock evicted, freeze", func(c *Config) { c.Evict, c.Freeze = 1, 1 }),
		short("stale look and read, crash", func(c *Config) { c.StaleLook, c.StaleRead, c.Crash = 1, 1, 1 }),
		ok("cancel, crash", func(c *Config) { c.Cancel, c.Crash, c.Linger, c.Dead = 1, 1, true, true }),
		ok("cancel, freeze", func(c *Config) { c.Cancel, c.Freeze, c.Dead = 1, 1, true }),
		ok("cancel, Redis forgets", func(c *Config) { c.Cancel, c.RedisLoss = 1, 1 }),
		short("cancel, lost answer", func(c *Config) { c.Cancel, c.LostReply = 1, 1 }),
		ok("cancel, stale read, freeze", func(c *Config) { c.Cancel, c.StaleRead, c.Freeze = 1, 1, 1 }),
		ok("cancel, crash, three workers", func(c *Config) { c.Cancel, c.Crash, c.Workers = 1, 1, 3 }),
		ok("curfew, sweeper, crash", func(c *Config) { c.Expire, c.Sweep, c.Crash, c.Dead = 1, 1, 1, true }),
		ok("curfew, sweeper, freeze", func(c *Config) { c.Expire, c.Sweep, c.Freeze = 1, 1, 1 }),
		ok("curfew, Redis forgets", func(c *Config) { c.Expire, c.RedisLoss = 1, 1 }),
		ok("drain, three workers", func(c *Config) { c.Drain, c.Workers = 1, 3 }),
		short("drain, crash", func(c *Config) { c.Drain, c.Crash = 1, 1 }),
		ok("drain, lost answer", func(c *Config) { c.Drain, c.LostReply = 1, 1 }),
		short("retry, crash", func(c *Config) { c.Retry, c.Crash = 1, 1 }),
		ok("retry, Redis forgets", func(c *Config) { c.Retry, c.RedisLoss = 1, 1 }),
		ok("replace, crash, freeze", func(c *Config) { c.Kinds, c.Crash, c.Freeze = "qr", 1, 1 }),
		ok("replace among three, lost answer", func(c *Config) { c.Kinds, c.Jobs, c.LostReply = "qqr", 3, 1 }),
		ok("pause", func(c *Config) { c.Pause, c.Dead = 1, true }),
		ok("pause, stale read", func(c *Config) { c.Pause, c.StaleRead = 1, 1 }),
		ok("pause, crash", func(c *Config) { c.Pause, c.Crash = 1, 1 }),
		ok("pause, lost answer", func(c *Config) { c.Pause, c.LostReply = 1, 1 }),
		ok("early AckWait, crash", func(c *Config) { c.EarlyAckWait, c.Crash = 1, 1 }),
		short("forgotten delivery", func(c *Config) { c.Forget, c.Dead = 1, true }),
		short("forgotten delivery, crash", func(c *Config) { c.Forget, c.Crash, c.Linger = 1, 1, true }),
		ok("two forgotten deliveries, lost answer", func(c *Config) { c.Forget, c.LostReply = 2, 1 }),
		ok("forgotten delivery, drain, freeze", func(c *Config) { c.Forget, c.Drain, c.Freeze = 1, 1, 1 }),
		ok("forgotten delivery, cancel, crash", func(c *Config) { c.Forget, c.Cancel, c.Crash = 1, 1, 1 }),
		ok("forgotten delivery, pause", func(c *Config) { c.Forget, c.Pause = 1, 1 }),
		short("halt", func(c *Config) { c.Halt = 1 }),
		ok("two halts", func(c *Config) { c.Halt = 2 }),
		ok("halt, crash", func(c *Config) { c.Halt, c.Crash = 1, 1 }),
		ok("halt, freeze", func(c *Config) { c.Halt, c.Freeze = 1, 1 }),
		ok("halt, lost answer", func(c *Config) { c.Halt, c.LostReply = 1, 1 }),
		ok("halt, cancel", func(c *Config) { c.Halt, c.Cancel = 1, 1 }),
		ok("halt, curfew, sweeper", func(c *Config) { c.Halt, c.Expire, c.Sweep = 1, 1, 1 }),
		ok("halt, Redis forgets", func(c *Config) { c.Halt, c.RedisLoss = 1, 1 }),
		short("silent subscription", func(c *Config) { c.SilentSkip, c.Jobs = true, 3 }),
		ok("silent subscription, crash, lost answer", func(c *Config) { c.SilentSkip, c.Crash, c.LostReply = true, 1, 1 }),
		ok("silent subscription, Redis forgets", func(c *Config) { c.SilentSkip, c.RedisLoss = true, 1 }),
	}
}

func mutants() []Case {
	without := func(name, broken, why string, set func(*Config)) Case {
		return Case{Name: "without " + name, Broken: broken, Why: why, set: set}
	}
	short := func(c Case) Case { c.Short = true; return c }
	return []Case{
		without("compare-and-set", promises[noRerun], "a worker that was frozen writes over what happened since", func(c *Config) { c.CAS, c.Freeze = false, 1 }),
		short(without("telling acquire of the open run", promises[oneSubprocess], "a lease that Redis forgot is given away while its holder lives",
			func(c *Config) { c.TellOpen, c.Supersede, c.RedisLoss = false, false, 1 })),
		without("superseding before burying", promises[noRunAfterLetter], "the open run's worker wakes up and goes on", func(c *Config) { c.BurySupersedes, c.Cancel, c.Freeze = false, 1, 1 }),
		short(without("redoing effects", promises[announced], "a crash after the commit loses event and letter", func(c *Config) { c.Effects, c.Crash = false, 1 })),
		without("the token of the last job", promises[eventAsRecorded], "another's close is taken for one's own",
			func(c *Config) { c.LastToken, c.LostReply, c.Freeze, c.Dead = false, 1, 1, true }),
		short(without("the knock", strandedIdle, "a job published during the last look waits for its redelivery", func(c *Config) { c.Knock = false })),
		short(without("the wake", strandedIdle, "a drain leaves work behind and nobody is told", func(c *Config) { c.Wake, c.Drain = false, 1 })),
		short(without("asking for what is known", strandedIdle, "a stale look leaves a job behind", func(c *Config) { c.AskKnown, c.StaleLook = false, 1 })),
		without("looking before publishing again", promises[accountedOnce], "a second sweep buries the same jobs again",
			func(c *Config) { c.Dedupe, c.Expire, c.Sweep, c.Crash = false, 1, 1, 1 }),
		without("the pause heeding knocks", strandedIdle, "the order to go on comes while the holder leaves",
			func(c *Config) { c.PauseHeedsKnock, c.PauseBound, c.Pause = false, false, 1 }),
		without("a bound for a pause", strandedForEver, "the wake that ends the pause dies with its worker", func(c *Config) { c.PauseBound, c.Pause, c.Crash = false, 1, 1 }),
		without("monotonic reads", strandedIdle, "an older version of the record looks like somebody's order", func(c *Config) { c.Monotonic, c.Pause, c.StaleRead = false, 1, 1 }),
		without("reading a foreign run again", strandedIdle, "a stale read looks like somebody else's run",
			func(c *Config) { c.ReadAgain, c.StaleRead, c.StaleLook, c.Crash = false, 1, 1, 1 }),
		short(without("asking on when renewal is refused", promises[notNeedless], "a holder gives up to one who is about to give up",
			func(c *Config) { c.KeepAsking, c.Needless, c.RedisLoss = false, true, 1 })),
		short(without("passing a knock on after a second release", strandedIdle, "the first release said look again, and its answer was lost",
			func(c *Config) { c.ResendLooksAgain, c.LostReply = false, 1 })),
		short(without("waking for a forgotten delivery", strandedForEver, "nobody is told of the job any more", func(c *Config) { c.Rouse, c.Forget = false, 1 })),
		short(without("reading the halt after the opening", promises[nothingAfterHalt], "a worker that has not heard of the halt starts a run",
			func(c *Config) { c.BrakeAfterOpen, c.Halt = false, 1 })),
	}
}
