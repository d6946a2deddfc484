package lease

const (
	workers  = 2
	newToken = 200 // of an adoption that begins; canonical gives it its number
)

type kind uint8

const (
	none kind = iota
	acquire
	renew
	release
)

var kinds = [...]string{"", "acquire", "renew", "release"}

// Answers of Redis.
const (
	refused = iota
	done
	lookAgain
)

// redis is what the store holds.
type redis struct {
	lock, ttl       uint8
	token           uint8 // of the last lease
	until           uint8 // ticks to its end
	released        uint8 // token that was released
	knocks          uint8
	missing         uint8 // 0 unset, 1 the wait is over, n: n-1 ticks to go
	missingFor      uint8 // the open run's token that the wait is for
	old, missingOld uint8 // written by an earlier incarnation
}

type request struct {
	kind              kind
	token, open, seen uint8
	forced            uint8
}

type phase uint8

const (
	idle phase = iota
	acquiring
	holding
)

type worker struct {
	phase              phase
	token, told, trust uint8
	sub                uint8 // its subprocess is alive
	seen               uint8 // knocks
	since              uint8 // ticks since the last renewal
	frozen             uint8
	asks               request // under way
	answered           uint8   // it was carried out, the answer is under way
	age                uint8   // ticks since it was sent
	answer, knocks     uint8
	late               request // given up, still in the network
	resent             uint8
}

type promise uint8

const (
	kept promise = iota
	oneSubprocess
	keepsRun
	usedUp
)

var promises = map[promise]string{
	kept:          "",
	oneSubprocess: "two live subprocesses",
	keepsRun:      "a connected holder loses its run",
	usedUp:        "a released token holds the lock again",
}

// state is compared and hashed: no pointers.
type state struct {
	redis, snapshot redis
	snapshotTaken   uint8
	run, runBefore  uint8 // the open run's token in the record, and the version before
	workers         [workers]worker
	broken          promise
	left            Faults
}

// canonical numbers the tokens in the order in which they are met: which token it is does not matter, only which are the same.
func canonical(s state) state {
	var number [256]uint8
	n := uint8(0)
	renumber := func(all ...*uint8) {
		for _, x := range all {
			if *x == 0 {
				continue
			}
			if number[*x] == 0 {
				n++
				number[*x] = n
			}
			*x = number[*x]
		}
	}
	for i := range s.workers {
		w := &s.workers[i]
		renumber(&w.token, &w.told, &w.asks.token, &w.asks.open, &w.late.token, &w.late.open)
	}
	renumber(&s.run)
	if s.left.StaleRead == 0 {
		s.runBefore = 0
	}
	renumber(&s.runBefore)
	for _, r := range []*redis{&s.redis, &s.snapshot} {
		renumber(&r.lock, &r.token, &r.released, &r.missingFor)
	}
	return s
}

func down(x *uint8) {
	if *x > 0 {
		*x--
	}
}

func (r *redis) tick() {
	if r.ttl > 0 {
		r.ttl--
		if r.ttl == 0 {
			r.lock = 0
		}
	}
	down(&r.until)
	if r.missing > 1 {
		r.missing--
	}
}

// endAdoption is an adoption's end without a word; its request may still be on its way.
func (s *state) endAdoption(i int) {
	w := &s.workers[i]
	late := w.late
	if w.asks.kind != none && w.answered == 0 && s.left.Late > 0 {
		s.left.Late--
		late = w.asks
	}
	*w = worker{late: late, frozen: w.frozen}
}
