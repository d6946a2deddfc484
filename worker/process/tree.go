package process

import (
	"syscall"
	"time"
)

// Collecting a run: what its main process left behind is killed after every
// end, a good one included. Tool shells live in sessions of their own and
// outlive their agent, so the group is only the first of the ways, and each is
// there for what those before it cannot see:
//
//	group            those that stayed in it; every system
//	cgroup           all, whatever they did; where there is one (ProbeCgroups)
//	marker           all that have the run's environment or token (Spec.Marker)
//	adopted orphans  those that have neither any more (AdoptOrphans)

const (
	collectWait = 2 * time.Second      // how long killed processes may take to be gone
	collectTick = 2 * time.Millisecond // between two looks, at first

	collectTickMax = 50 * time.Millisecond // and later
)

// collectGroup kills what is left of the group of a reaped leader. It answers
// how many there were, one where the system cannot count, and how many are
// still alive when time is over.
func collectGroup(l *leader, end time.Time) (killed, alive int) {
	if l.groupGone() {
		return 0, 0
	}
	killed = max(1, groupMembers(l.pid))
	tick := time.NewTicker(collectTick)
	defer tick.Stop()
	for ; ; <-tick.C {
		l.killLeftovers()
		if alive = groupMembers(l.pid); alive == 0 || time.Now().After(end) {
			return killed, alive
		}
	}
}

// collect kills what the run left behind, once its main process is reaped.
func (p *Process) collect() (killed, alive int) {
	end := time.Now().Add(collectWait)
	killed, alive = collectGroup(p.leader, end)
	more, left := p.collectTree(end)
	// One that two ways found is counted twice: too many is the safe side.
	return killed + more, alive + left
}

// Collect tries once more to kill what is left of a run whose Exit.Alive is not
// 0, for two seconds at most, and answers how many processes are alive then. It
// waits for Done. The session must not be given to anybody else before it
// answers 0.
func (p *Process) Collect() (alive int) {
	<-p.done
	p.collecting.Lock()
	defer p.collecting.Unlock()
	if p.clean {
		return 0
	}
	_, alive = p.collect()
	if p.clean = alive == 0; p.clean {
		p.leader.close()
	}
	return alive
}

// signalNumber is kill(2) that cannot be made to mean "everybody" (-1), "my own
// group" (0) or init (1).
func signalNumber(pid int, group bool, sig syscall.Signal) error {
	if pid <= 1 {
		return syscall.EPERM
	}
	if group {
		pid = -pid
	}
	return syscall.Kill(pid, sig)
}
