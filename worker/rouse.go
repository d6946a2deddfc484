package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"curfew/queue"
)

const (
	// rouseLimit is how many stranded messages a round looks at.
	rouseLimit = 1000
	// rouseLook is how long a message has to be seen as stranded: one that is
	// being acknowledged is gone by then.
	rouseLook = time.Second
	// rouseAgain is when a session is told again that still has the same stranded
	// jobs: the knock that came of the first wake may have been lost with its holder.
	rouseAgain = 10 * time.Minute
)

// rouser tells of jobs that lie in the stream and that its consumer will not
// deliver any more. Without it their sessions would wait for another job, or for
// their curfew.
type rouser struct {
	w     *Worker
	limit int             // messages of a round; the next one goes on behind them
	from  uint64          // where that is
	told  map[string]told // sessions
}

// told is what a session was told last: of its jobs up to a sequence, and when.
type told struct {
	through uint64
	at      time.Time
}

func newRouser(w *Worker) *rouser {
	return &rouser{w: w, limit: rouseLimit, from: 1, told: map[string]told{}}
}

// stranded are the messages of one session, or of none.
type stranded struct {
	session string
	wakes   []*queue.Message
	jobs    []*queue.Message
	known   uint64 // the highest job that they speak of
	through uint64 // the last of them
}

// round answers how many jobs it has told of, or set aside.
func (r *rouser) round(ctx context.Context, now time.Time) (roused uint64, err error) {
	maps.DeleteFunc(r.told, func(_ string, t told) bool { return now.Sub(t.at) >= rouseAgain })
	found, floor, err := r.look(ctx)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	select {
	case <-time.After(rouseLook):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	var failed error
	for _, one := range found {
		n, err := r.tell(ctx, one, floor, now)
		if roused += n; err != nil {
			failed = errors.Join(failed, fmt.Errorf("tell of the stranded jobs of session %q: %w", one.session, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return roused, failed
}

// look finds what is stranded and not told of, by session, and the floor that it
// lies below.
func (r *rouser) look(ctx context.Context) (found map[string]*stranded, floor uint64, err error) {
	found = map[string]*stranded{}
	seen := 0
	floor, err = r.w.q.Stranded(ctx, r.from, func(m *queue.Message) error {
		if seen++; seen > r.limit {
			return queue.ErrStop
		}
		r.from = m.Seq + 1
		if m.Seq <= r.told[m.Session].through {
			return nil
		}
		one := found[m.Session]
		if one == nil {
			one = &stranded{session: m.Session}
			found[m.Session] = one
		}
		one.through = m.Seq
		if m.Wake {
			one.wakes, one.known = append(one.wakes, m), max(one.known, m.WakeSeq)
		} else {
			one.jobs, one.known = append(one.jobs, m), max(one.known, m.Seq)
		}
		return nil
	})
	if seen <= r.limit {
		r.from = 1
	}
	if err != nil {
		return nil, 0, fmt.Errorf("look for stranded jobs: %w", err)
	}
	return found, floor, nil
}

// tell publishes one wake for a session with stranded messages. Where one that
// will be delivered is waiting already, that is enough.
func (r *rouser) tell(ctx context.Context, one *stranded, floor uint64, now time.Time) (roused uint64, err error) {
	jobs, err := r.still(ctx, one.jobs)
	if err != nil {
		return 0, err
	}
	wakes, err := r.still(ctx, one.wakes)
	if err != nil {
		return 0, err
	}
	for _, m := range wakes { // first: they may be all that the stream takes for this session
		if err := r.w.q.Remove(ctx, m); err != nil {
			return 0, err
		}
	}
	switch {
	case len(jobs)+len(wakes) == 0:
		return 0, nil
	case one.session == "":
		return r.bury(ctx, jobs), nil
	}
	waiting, err := r.w.q.WakeWaits(ctx, one.session, floor)
	if err != nil {
		return 0, err
	}
	if !waiting {
		if err := r.w.q.Wake(ctx, one.session, one.known); err != nil {
			return 0, err
		}
	}
	r.told[one.session] = told{one.through, now}
	snap, err := r.w.records.Get(ctx, one.session)
	if err != nil || waiting || snap.Run != nil || len(jobs) == 0 {
		return 0, err // one with an open run may well be at work: the wake is for the case that it is not
	}
	r.w.log.WithField("session", one.session).WithField("seq", jobs[0].Seq).WithField("jobs", len(jobs)).WithField("since", jobs[0].Time.Format(time.RFC3339)).
		Warn("the stream had forgotten to deliver these jobs: their session is woken")
	roused = uint64(len(jobs))
	r.w.observe.JobsRoused(roused)
	return roused, nil
}

// still answers those that are still there.
func (r *rouser) still(ctx context.Context, all []*queue.Message) (left []*queue.Message, err error) {
	for _, m := range all {
		again, err := r.w.q.Get(ctx, m.Seq)
		switch {
		case errors.Is(err, queue.ErrNoMessage):
		case err != nil:
			return nil, err
		case again.Subject == m.Subject && again.Time.Equal(m.Time): // else the stream is another one
			left = append(left, m)
		}
	}
	return left, nil
}

// bury sets jobs aside whose subjects name no session.
func (r *rouser) bury(ctx context.Context, jobs []*queue.Message) (buried uint64) {
	for _, m := range jobs {
		within, cancel := context.WithTimeout(ctx, opTimeout)
		if r.w.buryStray(within, m) { // else it said why, and the next round tries again
			buried++
		}
		cancel()
	}
	r.w.observe.JobsRoused(buried)
	return buried
}
