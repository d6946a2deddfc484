package process

import (
	"errors"
	"syscall"
	"time"
)

// ErrStopped is the intent on record where Stop or Kill was given none.
var ErrStopped = errors.New("stopped")

// Stop asks the subprocess to end, for the cause given. The first cause stays
// on record, with the time, and is there before any signal leaves. The ladder
// climbs once, however often Stop is called: stop signal to the group, SIGCONT
// so that a stopped one hears it, and after the grace SIGKILL to the group.
// Stop does not wait (Done does) and does nothing once the subprocess has
// ended.
func (p *Process) Stop(intent error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.record(intent) || p.climbing {
		return
	}
	p.climbing = true
	if p.grace <= 0 {
		p.kill()
		return
	}
	p.mark()
	p.ask(p.stopSignal)
	p.ask(syscall.SIGCONT) // a stopped one hears nothing before
	if plantedExit() {
		p.ends(Exit{Code: -1, Signal: p.stopSignal, At: time.Now()})
	}
	p.killTimer = time.AfterFunc(p.grace, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.over {
			p.kill()
		}
	})
}

// Kill ends the subprocess and its group at once, for the cause given. Like
// Stop it keeps the first cause, does not wait, and does nothing after the
// end.
func (p *Process) Kill(intent error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.record(intent) {
		return
	}
	p.climbing = true
	p.kill()
}

// Intent is the first cause given to Stop or Kill and its time; nil when
// nobody asked for the end.
//
//nolint:staticcheck // ST1008: the cause is the answer here, not the failure of the call
func (p *Process) Intent() (cause error, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.intent, p.intentAt
}

// Signalled says when our first signal left, if one left before the end.
func (p *Process) Signalled() (at time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.signalled, !p.signalled.IsZero()
}

// record keeps the first intent; false when the subprocess has ended. The
// kernel is asked, because wait may not have come round to it yet and an end
// of its own must not be taken for one we asked for.
func (p *Process) record(intent error) bool {
	if p.over || p.leader.ended() {
		return false
	}
	if p.intent == nil {
		if intent == nil {
			intent = ErrStopped
		}
		p.intent, p.intentAt = intent, time.Now()
	}
	return true
}

func (p *Process) mark() {
	if p.signalled.IsZero() {
		p.signalled = time.Now()
	}
}

// ask signals everybody in the group once. A main process that moved to another
// group has left its own empty and is asked by itself: not in every case,
// because programs take a second SIGTERM for impatience.
func (p *Process) ask(sig syscall.Signal) {
	if err := p.leader.signalGroup(sig); err != nil {
		_ = p.leader.signal(sig)
	}
}

// kill sends SIGKILL to the group, to the main process by itself in case it has
// moved to another one, and to all of the run where it has a cgroup. What else
// is left is collected once the main process has ended.
func (p *Process) kill() {
	p.mark()
	p.cgroup.kill()
	_ = p.leader.signalGroup(syscall.SIGKILL)
	_ = p.leader.signal(syscall.SIGKILL)
}
