package lease

// Rules are the rules of the lease, one switch each. All are on in the protocol as it is built; a mutant has one off.
type Rules struct {
	Supersede     bool // an open run is superseded only by who told acquire of it
	Until         bool // a vanished lock of an unreleased lease is given to nobody before its time
	MissingWait   bool // an open run whose lease Redis does not know keeps the session closed for one ttl
	Incarnation   bool // whether Redis knows it is told by its run id and replication id as well
	KnownIsOver   bool // a lease that Redis knows, and that has run out, may be superseded at once
	MissingByRun  bool // the wait is kept for one open run's token only: not built
	TrustFromSend bool // trust counts from the sending of a request
	Supervisor    bool // what a frozen worker cannot end is ended for it
	KeepAsking    bool // a refused renewal with the own run open goes on
	AskAtOnce     bool // and is asked again at once
	TakeOldLock   bool // a lock that a promotion brought back is taken by a renewal
	OneRelease    bool // a release that is sent again goes by force and ends the adoption
	TokenUsedUp   bool // a token that was released is refused by acquire
}

func protocol() Rules {
	return Rules{
		Supersede: true, Until: true, MissingWait: true, Incarnation: true, KnownIsOver: true, TrustFromSend: true, Supervisor: true, KeepAsking: true,
		AskAtOnce: true, TakeOldLock: true, OneRelease: true, TokenUsedUp: true,
	}
}

// Faults says how often each may happen.
type Faults struct {
	Loss      uint8 // Redis forgets everything
	Rollback  uint8 // a replica takes over that has missed what came after some moment
	EvictLock uint8
	EvictHash uint8
	Freeze    uint8
	Late      uint8 // a request that was given up arrives after all, any time later
	ClockStep uint8 // Redis' clock jumps ahead by a tick
	StaleRead uint8 // of the record, one version old
}

// Config is one configuration to be searched.
type Config struct {
	TTL, Margin uint8
	Renew       uint8 // ticks between renewals, where Connected
	Connected   bool  // both workers reach Redis, and renew in time: check that they keep their runs
	Knocks      bool  // refused acquires knock, so a release may be told to look again
	Rules
	Faults
}

func base() Config { return Config{TTL: 4, Margin: 1, Renew: 1, Rules: protocol()} }
