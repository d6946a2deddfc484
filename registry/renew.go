package registry

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// pipelineSize bounds one pipeline, and so how long its first lease waits for
// its answer.
const pipelineSize = 2000

// suspendCheck is how often the trust windows are looked at by CLOCK_BOOTTIME:
// timers stand still while the host sleeps, the leases of others do not.
const suspendCheck = time.Second

// Run renews all held leases, every Renew, until ctx ends; then it answers
// nil and the leases that are still held run out. A lease whose renewal was
// refused while its run is open, or failed, is asked for again much sooner.
// One call of Run at a time.
func (l *Leases) Run(ctx context.Context) error {
	round := time.NewTicker(l.terms.Renew)
	defer round.Stop()
	again := time.NewTimer(time.Hour)
	again.Stop()
	defer again.Stop()
	check := time.NewTicker(suspendCheck)
	defer check.Stop()
	for {
		var due []*Lease
		select {
		case <-ctx.Done():
			return nil
		case <-check.C:
			for _, x := range l.all() {
				x.checkTrust()
			}
			continue
		case <-round.C:
			due = l.all()
		case <-again.C:
			due = slices.DeleteFunc(l.all(), func(x *Lease) bool { return !x.wantsAgain() })
		}
		if pace := l.renew(ctx, due); pace > 0 {
			again.Reset(pace)
		} else {
			again.Stop()
		}
	}
}

// renew sends one renewal for each of the leases and answers how soon those
// that were refused or not answered should be asked for again; 0: none was.
func (l *Leases) renew(ctx context.Context, due []*Lease) (pace time.Duration) {
	for from := 0; from < len(due); from += pipelineSize {
		batch := due[from:min(from+pipelineSize, len(due))]
		p, silent := l.renewBatch(ctx, batch)
		pace = sooner(pace, p)
		if silent { // the next batch would only wait as long
			for _, x := range due[from+len(batch):] {
				x.unanswered()
			}
			break
		}
	}
	return pace
}

// sooner is the smaller of two paces, where 0 means no hurry.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// renewBatch renews one pipeline full. silent: Redis did not say a word.
func (l *Leases) renewBatch(ctx context.Context, batch []*Lease) (pace time.Duration, silent bool) {
	over := make(chan struct{})
	defer close(over)
	asked := make([]*Lease, 0, len(batch))
	for _, x := range batch {
		if x.ask(over) {
			asked = append(asked, x)
		}
	}
	if len(asked) == 0 {
		return 0, false
	}
	silent = true
	start := BootNow()
	cmds := l.pipeline(ctx, asked)
	var lastErr error
	var reasserted int
	for i, x := range asked {
		ans, err := parseReply(cmds[i].Result())
		silent = silent && err != nil && !answered(err)
		switch {
		case err != nil:
			lastErr = err
			x.unanswered()
			pace = sooner(pace, l.terms.retryPace())
		case x.answer(start, ans):
			pace = sooner(pace, askAgainPace)
		}
		if ans.word == "again" {
			reasserted++
		}
	}
	if ctx.Err() == nil {
		l.report(lastErr, len(asked), reasserted)
	}
	return pace, silent
}

// pipeline sends the renewals in one go. A server that does not know the
// script has renewed nothing, so after loading it all of that is sent again.
func (l *Leases) pipeline(ctx context.Context, asked []*Lease) []*redis.Cmd {
	ctx, cancel := context.WithTimeout(ctx, l.terms.attempt())
	defer cancel()
	cmds := make([]*redis.Cmd, len(asked))
	send := func(which func(i int) bool) (unknown bool) {
		pipe := l.redis.client.Pipeline()
		for i, x := range asked {
			if which(i) {
				cmds[i] = l.scripts.renew.EvalSha(ctx, pipe, x.keys, x.token, l.terms.TTL.Milliseconds(), leaseKept.Milliseconds())
			}
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
		return slices.ContainsFunc(cmds, func(c *redis.Cmd) bool { return noScript(c.Err()) })
	}
	if send(func(int) bool { return true }) {
		if err := l.redis.load(ctx, l.scripts.renew); err == nil {
			send(func(i int) bool { return noScript(cmds[i].Err()) })
		}
	}
	return cmds
}

// report writes one line when Redis stops answering, one when it answers
// again, and one when it had forgotten leases that were held.
func (l *Leases) report(err error, asked, reasserted int) {
	log := l.log.WithField("leases", asked)
	switch {
	case err != nil && !l.failing:
		log.WithError(err).Warnf("redis at %s does not renew leases; runs go on for %s at most after their last renewal", l.redis.server, l.terms.Trust())
	case err == nil && l.failing:
		log.Infof("redis at %s renews leases again", l.redis.server)
	}
	l.failing = err != nil
	if reasserted > 0 {
		log.WithField("reasserted", reasserted).Warnf("redis at %s had forgotten leases (restarted, failed over, flushed or evicted?); their holders have them again", l.redis.server)
	}
}

// ask marks a renewal as under way until over is closed, if the lease is held.
func (x *Lease) ask(over chan struct{}) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.phase != held || x.deadline.Left() <= 0 {
		return false
	}
	x.asking = over
	return true
}

func (x *Lease) wantsAgain() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.askAgain
}

func (x *Lease) unanswered() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asking, x.askAgain = nil, true
}

// answer takes the word of a renewal that was sent at start, and tells whether
// the lease should be asked for again at once.
func (x *Lease) answer(start BootTime, ans reply) (again bool) {
	x.mu.Lock()
	x.asking, x.askAgain = nil, false
	gone := false
	switch {
	case x.phase != held && x.phase != leaving:
	case x.deadline.Left() <= 0: // too late: whatever it says changes nothing
		gone = x.lose(ErrTrustEnded)
	case ans.word != "lost":
		x.deadline = max(x.deadline, start.Add(x.leases.terms.Trust()))
		x.clock, x.clockAt = ans.now, BootNow()
		select {
		case x.renewed <- struct{}{}:
		default:
		}
	case x.phase == leaving: // the release will find out
	case x.runOpen:
		x.askAgain, again = true, true
	default:
		gone = x.lose(ErrTaken)
	}
	x.mu.Unlock()
	if gone {
		x.leases.forget(x)
	}
	return again
}
