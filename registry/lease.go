package registry

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrTaken says that another token has the lease while no run of this
// adoption was open.
var ErrTaken = errors.New("another holder has the lease")

// ErrTrustEnded says that the lease was not renewed in time: nothing that
// needs it may go on.
var ErrTrustEnded = errors.New("the lease was not renewed in time")

// Lease is the right to run one session, from one granted acquire to its
// release or its loss. Any number of goroutines may use it at once.
//
//	grant            Release answers again
//	  |            .------------------------.
//	  v            v                        |
//	held ----------------- Release ----> leaving ----> over
//	  |  `----------------- Orphan ---------|-----------^
//	  |  another has it and no run is open, |
//	  v  or the trust window ended          v
//	lost <----------------------------------'
type Lease struct {
	leases  *Leases
	session string
	token   string
	keys    []string // lock, lease
	granted time.Time

	renewed chan struct{} // capacity 1; the renewal loop puts one in after each good renewal
	lost    chan struct{} // closed by lose, once; nobody sends

	mu       sync.Mutex
	phase    phase
	runOpen  bool
	deadline BootTime // end of the trust window; only grows
	clock    time.Time
	clockAt  BootTime      // when clock was read
	asking   chan struct{} // closed when the renewal under way is over; nil: none is
	askAgain bool          // the last renewal was refused or failed: do not wait for the next round
	knock    int64
	knockSeq uint64
	err      error
	watch    *time.Timer // ends the trust; nil once over
}

type phase uint8

const (
	held    phase = iota // renewed, trusted
	leaving              // a release is being sent: not renewed
	lost                 // not trusted any more; nothing is sent
	over                 // released, given up or orphaned; nothing is sent
)

// Session is the session's UUID.
func (x *Lease) Session() string { return x.session }

// Token is the adoption's own, as given to Acquire.
func (x *Lease) Token() string { return x.token }

// Granted is Redis' TIME at the moment the lease was granted, to the
// millisecond: the "now" that decides whether a session has expired.
func (x *Lease) Granted() time.Time { return x.granted }

// Now is Redis' TIME as last answered, carried on by this host's clock.
func (x *Lease) Now() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.clock.Add(BootNow().Sub(x.clockAt))
}

// TrustLeft is how long the lease may still be trusted: until the start of
// its last good renewal, or of its acquire, + ttl - margin. Zero or less: not
// any more, whether lost, released or orphaned.
func (x *Lease) TrustLeft() time.Duration {
	if d := x.Deadline(); d != 0 {
		return d.Left()
	}
	return 0
}

// Deadline is the end of the trust window by this host's CLOCK_BOOTTIME. It
// moves on with each good renewal and is 0 when the lease is lost or over.
func (x *Lease) Deadline() BootTime {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.phase == held || x.phase == leaving {
		return x.deadline
	}
	return 0
}

// Renewed gets a signal after each good renewal: the deadline has moved. A
// signal that nobody takes is not repeated.
func (x *Lease) Renewed() <-chan struct{} { return x.renewed }

// Lost is closed once when the lease can be trusted no longer, because another
// has it or because its trust window ended; Err says which. It stays open
// after Release and Orphan.
func (x *Lease) Lost() <-chan struct{} { return x.lost }

// Err is nil until Lost is closed, then it wraps ErrTaken or ErrTrustEnded.
func (x *Lease) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

// SetRunOpen says whether the record shows a run of this adoption as open.
// While it does, a renewal that finds another token asks again at once until
// the trust window ends: that other one will be refused by the record and
// leave. Set it before the CAS that opens the run is sent, and unset it after
// the one that closes it is done.
func (x *Lease) SetRunOpen(open bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.runOpen = open
}

// Knocks answers how often others were refused because of this session's
// leases and the highest message sequence that any of them came for, as the
// acquire or the last release answered it.
func (x *Lease) Knocks() (count int64, seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.knock, x.knockSeq
}

// LowerKnockSeq forgets, here and not in Redis, a knock for a message above
// seq: it is known to be gone.
func (x *Lease) LowerKnockSeq(seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.knockSeq = min(x.knockSeq, seq)
}

// Orphan gives the lease up without a word to Redis: it is not renewed any
// more and runs out by itself. For after a loss, or where nothing may be sent.
func (x *Lease) Orphan() {
	x.mu.Lock()
	x.end()
	x.mu.Unlock()
	x.leases.forget(x)
}

// end leaves the lost phase as it is. The caller holds mu.
func (x *Lease) end() {
	if x.phase != lost {
		x.phase = over
	}
	if x.watch != nil {
		x.watch.Stop()
		x.watch = nil
	}
}

// lose ends the lease because of err, once, unless it is over, and tells
// whether it did. The caller holds mu and calls forget after leaving it.
func (x *Lease) lose(err error) bool {
	if x.phase == lost || x.phase == over {
		return false
	}
	x.end()
	x.phase = lost
	x.err = fmt.Errorf("lease of session %s: %w", x.session, err)
	close(x.lost)
	return true
}

// checkTrust ends the lease if its trust window is over, else comes back at
// the end of the window. The timer is not moved by each renewal: it finds the
// new deadline when it fires.
func (x *Lease) checkTrust() {
	x.mu.Lock()
	gone := false
	if left := x.deadline.Left(); left <= 0 {
		gone = x.lose(ErrTrustEnded)
	} else if x.watch != nil {
		x.watch.Reset(left)
	}
	x.mu.Unlock()
	if gone {
		x.leases.forget(x)
	}
}
