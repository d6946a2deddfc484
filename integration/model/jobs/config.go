package jobs

// Rules are the rules of the protocol, one switch each. All are on in the protocol as it is built; a mutant has one off.
type Rules struct {
	CAS              bool // the record is changed by compare-and-set only
	Supersede        bool // an open run is superseded only by who was granted the lease on being told of it
	TellOpen         bool // acquire is told the open run's token, and refuses while its lease may be alive
	BurySupersedes   bool // burying begins with a write that also supersedes an open run
	Effects          bool // a finished job that is still in the stream: its effects are done again before it is removed
	Knock            bool // a refused acquire leaves a knock, and release answers it with "look again"
	Wake             bool // who leaves work behind without holding a hint publishes a wake
	AskKnown         bool // a look that finds nothing asks for the message that is known to be there
	LastToken        bool // the record's last job names the adoption that closed it
	Dedupe           bool // letters and events are looked for before they are published again
	PauseHeedsKnock  bool // a pause releases with the knocks seen, and reads the record again when knocked
	PauseBound       bool // a job of a paused session comes back after a minute, not only by order
	AdoptOwnOpen     bool // a run found open under the own token is one's own: its opening write had no answer
	Monotonic        bool // a read older than a revision already seen is not believed
	ReadAgain        bool // a foreign open run is read again before it is believed
	KeepAsking       bool // a refused renewal with the own run open is asked again until the trust window ends
	ResendForced     bool // a release that is sent again goes by force
	ResendLooksAgain bool // and a knock that this answers is passed on, with the hint or a wake
	BrakeAfterOpen   bool // the fleet's halt is read after a run was opened, before its subprocess starts
	Rouse            bool // the sweeper publishes a wake for a job that the stream has forgotten to deliver
	SilentSkip       bool // the next look is skipped while the session's subscription was silent: allowed, not needed
}

// protocol is what is built.
func protocol() Rules {
	return Rules{
		CAS: true, Supersede: true, TellOpen: true, BurySupersedes: true, Effects: true, Knock: true, Wake: true, AskKnown: true,
		LastToken: true, Dedupe: true, PauseHeedsKnock: true, PauseBound: true, AdoptOwnOpen: true, Monotonic: true, ReadAgain: true,
		KeepAsking: true, ResendForced: true, ResendLooksAgain: true, BrakeAfterOpen: true, Rouse: true,
	}
}

// Faults says how often each may happen.
type Faults struct {
	Crash, Freeze  uint8 // of a worker
	LostReply      uint8 // a request was carried out and its answer is lost
	RedisLoss      uint8 // Redis forgets everything
	Rollback       uint8 // a replica takes over that has missed what came after some moment
	Evict          uint8 // the lock alone vanishes
	EarlyAckWait   uint8 // a delivery comes again although its holder is well
	Forget         uint8 // the stream forgets to deliver a job
	StaleLook      uint8 // a look at the stream does not see what is there
	StaleRead      uint8 // a read of the record answers the version before
	Drain, Retry   uint8 // a worker drains; a run crashes
	Cancel, Expire uint8
	Sweep          uint8 // adoptions by the sweeper, after the expiry
	Pause, Halt    uint8
}

// Config is one configuration to be searched.
type Config struct {
	Workers, Jobs int
	Kinds         string // of each job: q queues, r replaces the older ones
	MaxUnsettled  uint8  // begins whose worker died, after which a job is buried
	Linger        bool   // a dead worker's subprocess lives until its trust window ends
	Dead          bool   // a run may also end in a dead letter at once
	Needless      bool   // check as well that a connected holder is never stopped for nothing
	Rules
	Faults
}

func base() Config {
	return Config{Workers: 2, Jobs: 2, Kinds: "qqq", MaxUnsettled: 3, Rules: protocol()}
}
