package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"

	"curfew/queue"
	"curfew/registry"
)

// adoption is one worker's time with one session: from the hint that named it
// to the release of its lease. It is one goroutine's, except that while a run is
// live its listener works on the record (see listen.go).
type adoption struct {
	w       *Worker
	session string
	log     *logrus.Entry
	// hint is the delivery that started it; nil for the sweeper.
	hint *heldHint
	// buryOnly: the adoption ends the session or leaves; it runs nothing.
	buryOnly bool

	token string
	// told is the token of the foreign open run that acquire was asked about:
	// the only foreign run that this adoption may supersede.
	told  string
	lease *registry.Lease

	// snap is the record as last read or written here, floor the highest
	// revision seen: a read older than it is not believed.
	snap  registry.Snapshot
	floor uint64
	// from is where to look for the head; 0 after every reading of the record,
	// so that a finished job whose message is still there is seen first.
	from uint64
	// lookedAt is the time by which the last look judged the session's age; zero
	// before the first.
	lookedAt time.Time
	// looked is the highest sequence seen past the head.
	looked uint64
	// replacing is the highest job seen that replaces older ones while the session
	// had no record to note it in: whatever is written first says it.
	replacing uint64
	// seen is when the stream was last seen to its end.
	seen sight
	// foreign counts the looks that found someone else's run; stale those that
	// missed a message known to be there.
	foreign, stale int
	// unwritten counts the writes of the record in a row that failed for another
	// reason than a change by somebody else.
	unwritten int
	// gone is the sequence above the done mark whose message was found gone last.
	gone uint64
	// ended: this adoption found the session over, and wrote its tombstone.
	ended bool
	// swept are the jobs that this adoption buried with their session.
	swept uint64
	// announced: this adoption told of the session's end, having ended it or
	// finished what another one began.
	announced bool
	// pace slows down the burying of many jobs; nil does not.
	pace *rate.Limiter
	// left is how the work ended.
	left ending
	// ending's details, for the leaving.
	delay time.Duration
}

// errAgain: the record or the stream changed under this step; look again.
var errAgain = errors.New("look again")

// errForeign: a run of a holder is open that this adoption was not told of.
var errForeign = errors.New("another holder's run is open")

// adopt makes the hint's session this worker's, runs what there is to run and leaves.
func (w *Worker) adopt(ctx context.Context, held *heldHint) {
	a := w.newAdoption(held.Session)
	a.hint = held
	a.log = a.log.WithField("hint", held.knownSeq())
	if err := a.begin(ctx); err != nil {
		a.refused(ctx, err)
		return
	}
	a.stay(ctx)
}

func (w *Worker) newAdoption(session string) *adoption {
	return &adoption{
		w: w, session: session, token: registry.NewToken(),
		log: w.log.WithField("session", session),
	}
}

// knownSeq is the sequence that a hint speaks of.
func (h *heldHint) knownSeq() uint64 {
	switch {
	case h == nil:
		return 0
	case h.Wake:
		return h.WakeSeq
	default:
		return h.Seq
	}
}

// notYetError says that, by the record, the session's work has to wait.
type notYetError struct {
	why  string
	wait time.Duration
}

func (e *notYetError) Error() string { return fmt.Sprintf("%s, for %s", e.why, e.wait) }

// begin reads the record and acquires the lease.
func (a *adoption) begin(ctx context.Context) error {
	if a.w.brake.isOn() {
		return &notYetError{"the fleet is halted", 0}
	}
	if err := a.read(ctx); err != nil {
		return err
	}
	if err := a.mayWait(ctx, time.Now()); err != nil {
		return err
	}
	if a.snap.Run != nil {
		a.told = a.snap.Run.Token
	}
	lease, err := a.w.leases.Acquire(ctx, registry.Ask{
		Session: a.session, Token: a.token, Seq: a.hint.knownSeq(), Open: a.told,
	})
	if err != nil {
		return err
	}
	a.lease = lease
	return nil
}

// mayWait refuses a session whose work has to wait, before its lease is asked for.
func (a *adoption) mayWait(ctx context.Context, now time.Time) error {
	if a.snap.Over(now) {
		return nil // to be buried, which never waits
	}
	if err := a.noteReplace(ctx, a.hint.knownReplace()); err != nil {
		return err
	}
	switch {
	case a.snap.Paused != nil:
		return &notYetError{"the session is paused", time.Minute}
	case a.snap.Run == nil && a.snap.BackingOff(now):
		return &notYetError{"the session is in backoff", a.snap.NotBefore.Sub(now)}
	}
	return nil
}

// knownReplace is the hint's sequence when it is a job that replaces older ones.
func (h *heldHint) knownReplace() uint64 {
	if h == nil || h.Wake {
		return 0
	}
	if job, err := queue.ParseJob(&h.Message); err != nil || job.Conflict != queue.ConflictReplace {
		return 0
	}
	return h.Seq
}

// noteReplace writes into the record that the job seq replaces the older ones,
// where an older one is at the head.
func (a *adoption) noteReplace(ctx context.Context, seq uint64) error {
	if seq == 0 || a.snap.Revision == 0 || a.snap.ReplaceSeq >= seq || a.snap.Begins.Seq >= seq || a.snap.Begins.Seq == 0 {
		return nil
	}
	return a.try(ctx, "note that a job replaces older ones", func(ctx context.Context) error {
		s, err := a.w.records.Replace(ctx, a.session, seq)
		if err == nil {
			a.saw(s)
		}
		return err
	})
}

// refused settles the hint of a session that could not be adopted.
func (a *adoption) refused(ctx context.Context, err error) {
	var (
		held    *registry.HeldError
		unclean *registry.UncleanError
		wait    *notYetError
		away    *registry.UnavailableError
	)
	switch {
	case errors.As(err, &held):
		a.busy(ctx)
	case errors.As(err, &unclean):
		a.log.WithField("wait", unclean.Wait.String()).Info("an earlier lease of the session may still be alive, waiting it out")
		a.hint.nak(spread(unclean.Wait + 10*time.Millisecond))
	case errors.As(err, &wait):
		a.log.WithField("wait", wait.wait.String()).Debug(wait.why)
		a.hint.nak(wait.wait)
	case ctx.Err() != nil:
		a.hint.nak(0)
	case errors.As(err, &away):
		// Others may reach the lease store: the job is theirs at once, and this slot takes none before it can.
		a.log.WithError(err).Warn("the session could not be taken up, its job goes back; this slot rests until the lease store answers")
		a.hint.nak(spread(100 * time.Millisecond))
		a.w.untilLeases(ctx)
	default:
		a.log.WithError(err).Warn("the session could not be taken up, its job waits")
		a.w.pause(ctx, time.Second) // hold the slot: the others would fail too
		a.hint.nak(time.Second)
	}
}

// busy: another adoption holds the session and has been knocked at. It runs this
// job too; the delay is only the net for a holder that dies.
func (a *adoption) busy(ctx context.Context) {
	delay := a.w.cfg.BusyDelay
	if seq := a.hint.knownReplace(); seq > a.snap.ReplaceSeq {
		leaving, err := a.w.orderReplace(ctx, a.session, seq)
		if err != nil {
			a.log.WithError(err).Warn("a replacing job could not be noted; the holder finds it at its next renewal")
		}
		if leaving {
			delay = min(delay, time.Second)
		}
	}
	if a.hint.Wake {
		a.hint.ack() // the knock has told the holder
		return
	}
	a.hint.nak(spread(delay))
}

// orderReplace notes for the holder that the job seq replaces the one that was
// begun. leaving: no run of that one is open, so its holder is about to leave it
// to its backoff and may not look again.
func (w *Worker) orderReplace(ctx context.Context, session string, seq uint64) (leaving bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	s, err := w.records.Get(ctx, session)
	if err != nil {
		return false, err
	}
	if s.Begins.Seq == 0 || s.Begins.Seq >= seq {
		return false, nil
	}
	if s, err = w.records.Replace(ctx, session, seq); err != nil {
		return false, err
	}
	return s.Run == nil, w.q.Nudge(session)
}

// spread adds up to a fifth, so that what was refused together does not come
// back together.
func spread(d time.Duration) time.Duration {
	return d + time.Duration(rand.Float64()*float64(d)/5) //nolint:gosec // jitter, no secret
}

// stay works through the session while the lease is good, and leaves.
func (a *adoption) stay(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lease := a.lease
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		select {
		case <-lease.Lost():
			cancel(errLost)
		case <-stopped:
		}
	}()

	var heard *hearing // what is adopted to be buried runs nothing that could be told
	if !a.buryOnly {
		h, stopHearing, err := a.hear()
		if err != nil {
			a.log.WithError(err).Warn("listening for new jobs of the session failed; they are noticed at each renewal")
		}
		defer stopHearing()
		heard = h
	}
	for {
		end := a.work(ctx, heard)
		a.left = end
		if !a.leave(ctx, end) {
			return
		}
		a.from, a.seen = 0, sight{} // somebody knocked: there is more than was seen
	}
}

// work takes turns until one ends the adoption.
func (a *adoption) work(ctx context.Context, heard *hearing) ending {
	for {
		end, err := a.turn(ctx, heard)
		switch {
		case err == nil && end == goOn:
			continue
		case err == nil:
			return end
		case errors.Is(err, errAgain):
			a.from = 0
		case errors.Is(err, errForeign):
			if a.foreign++; a.foreign > 3 {
				return endForeign
			}
			if err := a.read(ctx); err != nil {
				return endLost
			}
		default:
			if errors.Is(context.Cause(ctx), errLost) || errors.Is(err, errLost) {
				return endLost
			}
			a.log.WithError(err).Error("the adoption failed, leaving the session to another worker")
			return endFailed
		}
	}
}
