package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"
)

// Ask is one request for a lease.
type Ask struct {
	Session string
	Token   string // NewToken, one per adoption
	Seq     uint64 // sequence of the message that asks; 0: none
	Open    string // token of the run that the record shows open; "": none
}

// HeldError says that another token has the lease. The knock was noted, so the
// holder looks at the stream again before it leaves.
type HeldError struct {
	Session string
	Wait    time.Duration // what is left of the holder's lease unless it is renewed
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("session %s is held by another worker, for %s at least unless it leaves", e.Session, e.Wait)
}

// UncleanError says that nobody has the lease but its last holder may still
// be alive.
type UncleanError struct {
	Session string
	Wait    time.Duration // until it cannot be any more
}

func (e *UncleanError) Error() string {
	return fmt.Sprintf("session %s: its last holder may be alive for another %s", e.Session, e.Wait)
}

// UnavailableError says that Redis failed or refused, so that nobody knows who
// has the lease. Err is the cause.
type UnavailableError struct {
	Server string
	Doing  string
	Err    error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%s: redis at %s failed or refused: %v", e.Doing, e.Server, e.Err)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// ErrTokenUsed is answered to an acquire under a token that was released
// before. A new adoption needs a new token.
var ErrTokenUsed = errors.New("this token was released before: a new adoption needs a new token")

// leaseKept is how long Redis remembers a lease after its last change.
const leaseKept = 24 * time.Hour

// Leases hands out the leases of one namespace and renews those it handed out.
// Any number of goroutines may use it at once.
type Leases struct {
	redis     *Redis
	namespace string
	terms     Terms
	scripts   scripts
	log       *logrus.Entry

	mu   sync.Mutex
	live map[*Lease]struct{}

	failing bool // the last renewal found Redis out of reach; only Run touches it
}

// NewLeases needs terms that Validate finds good. Nothing is renewed until Run.
func NewLeases(r *Redis, namespace string, t Terms, log *logrus.Entry) *Leases {
	if log == nil {
		log = logrus.NewEntry(logrus.StandardLogger())
	}
	return &Leases{
		redis: r, namespace: namespace, terms: t, scripts: newScripts(), log: log,
		live: map[*Lease]struct{}{},
	}
}

// Terms are those given to NewLeases.
func (l *Leases) Terms() Terms { return l.terms }

// Count is the number of leases that are held here.
func (l *Leases) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.live)
}

// Answers says whether Redis answers now; it asks for 2 s at most.
func (l *Leases) Answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.terms.attempt())
	defer cancel()
	return l.redis.Ping(ctx) == nil
}

// NewToken answers a random token. Every adoption needs its own: two
// deliveries of one session in one worker are two adoptions.
func NewToken() string { return uuid.NewString() }

func (l *Leases) keys(name string) []string {
	tag := l.namespace + ":{" + name + "}:"
	return []string{tag + "lock", tag + "lease"}
}

// acquireAttempts is how often one acquire is sent while no answer comes.
const acquireAttempts = 3

// Acquire asks for the lease of a session. A request that got no answer is
// sent again under the same token, a few times, and then taken back as well as
// can be. Errors: *HeldError and *UncleanError, after which the same token may
// ask again; *UnavailableError and ErrTokenUsed, after which it may not.
func (l *Leases) Acquire(ctx context.Context, a Ask) (*Lease, error) {
	keys := l.keys(a.Session)
	start, ans, err := l.acquire(ctx, keys, a, l.terms.TTL)
	if err != nil {
		return nil, err
	}
	x := &Lease{
		leases: l, session: a.Session, token: a.Token, keys: keys,
		granted: ans.now, clock: ans.now, clockAt: BootNow(),
		deadline: start.Add(l.terms.Trust()),
		knock:    ans.knock, knockSeq: ans.knockSeq,
		renewed: make(chan struct{}, 1), lost: make(chan struct{}),
	}
	left := x.deadline.Left()
	if left <= 0 { // the answer came after the trust window: it changes nothing
		l.abandon(ctx, keys, a.Token)
		return nil, &UnavailableError{l.redis.server, "acquire the lease of session " + a.Session, ErrTrustEnded}
	}
	l.mu.Lock()
	l.live[x] = struct{}{}
	l.mu.Unlock()
	x.mu.Lock()
	x.watch = time.AfterFunc(left, x.checkTrust)
	x.mu.Unlock()
	return x, nil
}

// acquire sends the script until it is answered and turns every refusal into
// its error. start is when the request was sent that was answered.
func (l *Leases) acquire(ctx context.Context, keys []string, a Ask, ttl time.Duration) (start BootTime, ans reply, err error) {
	for range acquireAttempts {
		start = BootNow()
		try, cancel := context.WithTimeout(ctx, l.terms.attempt())
		ans, err = parseReply(l.scripts.acquire.Run(try, l.redis.client, keys,
			a.Token, ttl.Milliseconds(), a.Seq, a.Open, leaseKept.Milliseconds()).Result())
		cancel()
		if err == nil || answered(err) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		if !answered(err) { // it may have been granted: nobody should wait for a lease that nobody knows of
			l.abandon(ctx, keys, a.Token)
		}
		return 0, reply{}, &UnavailableError{l.redis.server, "acquire the lease of session " + a.Session, err}
	}
	switch ans.word {
	case "granted":
		return start, ans, nil
	case "held":
		return 0, reply{}, &HeldError{a.Session, ans.wait}
	case "unclean":
		return 0, reply{}, &UncleanError{a.Session, ans.wait}
	case "used":
		return 0, reply{}, fmt.Errorf("acquire the lease of session %s: %w", a.Session, ErrTokenUsed)
	default:
		return 0, reply{}, &UnavailableError{l.redis.server, "acquire the lease of session " + a.Session, fmt.Errorf("%w: %q", errReply, ans.word)}
	}
}

// abandonTimeout bounds the one request that gives back what may not even be held.
const abandonTimeout = 500 * time.Millisecond

// abandon releases a token whose acquire was never answered. Whether it
// succeeds does not matter: the lease runs out.
func (l *Leases) abandon(ctx context.Context, keys []string, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	err := l.scripts.release.Run(ctx, l.redis.client, keys, token, 0, "1", leaseKept.Milliseconds()).Err()
	if err != nil {
		l.log.WithError(err).Debug("a lease that may have been granted could not be given back")
	}
}

func (l *Leases) forget(x *Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, x)
}

func (l *Leases) all() []*Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Lease, 0, len(l.live))
	for x := range l.live {
		all = append(all, x)
	}
	return all
}
