package process

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// exactPasses is how many passes in a row must find nothing when no process
	// can have been born behind their backs.
	exactPasses = 2
	// cleanPasses is how many when that is not known.
	cleanPasses = 3
	// shortRun is how long a run may have taken for its processes to be looked
	// for by their numbers alone: they were given since its start, and in that
	// time the numbers cannot have come round again.
	shortRun = 100 * time.Millisecond
	// fewNumbers is how many that may be; beyond it the list is read.
	fewNumbers = 512
	// unborn is how many numbers before the last one are looked at again: a
	// number is given a little before there is a process of that number.
	unborn = 32
	// chases bounds how often a pass looks at what was forked meanwhile.
	chases = 200
)

// hunt kills processes until none is left that it is for.
type hunt struct {
	scanner
	// mine says whether a process is to be killed. It is asked again once the
	// process is held by a pidfd, which no other process can take over.
	mine    func(pid int) bool
	spare   map[int]bool // never: this process and its ancestors
	orphans func() []int // adopted ones to be killed as well; nil none

	from int // look at numbers from here on; 0: at the list of processes
	seen map[int]struct{}
}

// run looks and kills until it is clean or time is over. It answers how many
// processes were killed and how many were alive at the last look.
func (h *hunt) run(end time.Time) (killed, alive int) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	wait := collectTick
	for clean, exact := 0, 0; ; {
		left, sure := h.pass()
		switch {
		case left > 0:
			clean, exact = 0, 0
		case sure:
			clean, exact = clean+1, exact+1
		default:
			clean++
		}
		if exact >= exactPasses || clean >= cleanPasses {
			return len(h.seen), 0
		}
		if time.Now().After(end) {
			return len(h.seen), max(left, 1) // not known to be clean
		}
		if !sure || left > 0 {
			<-pause.C
			pause.Reset(wait) // many take their time to end: looking must not hold them up
			wait = min(2*wait, collectTickMax)
		}
	}
}

// pass kills once what there is and answers how many that were. It is sure when
// it has also seen all that was forked while it looked: generations that
// replace each other quickly would else slip through again and again, each born
// after the list was read and its parent gone before its turn came.
func (h *hunt) pass() (alive int, sure bool) {
	last := lastPID()
	alive = h.look(last)
	if last == 0 {
		return alive, false
	}
	for from, n := max(last-unborn, 2), 0; n < chases; n++ {
		now := lastPID()
		if now < last || now-from > fewNumbers {
			return alive, false // the numbers have come round, or too many
		}
		alive += h.among(from, now)
		if now == last && n > 0 {
			return alive, true
		}
		from, last = now+1, now
	}
	return alive, false
}

// look goes through all that may be of the run; last is the last number given.
func (h *hunt) look(last int) (alive int) {
	if h.from > 0 && last >= h.from-1 && last-h.from < fewNumbers {
		alive = h.among(h.from, last)
	} else {
		h.from = 0 // more were forked, or the numbers have come round
		err := everybody(func(pid int) { alive += h.try(pid) })
		if err != nil && !os.IsNotExist(err) {
			alive++ // short of descriptors perhaps: unknown is not clean
		}
	}
	if h.orphans != nil {
		for _, pid := range h.orphans() {
			if pid > 1 && h.kill(pid, isChild) {
				alive++
			}
		}
	}
	return alive
}

func (h *hunt) among(from, to int) (alive int) {
	for pid := from; pid <= to; pid++ {
		alive += h.try(pid)
	}
	return alive
}

func (h *hunt) try(pid int) int {
	if pid > 1 && h.mine(pid) && h.kill(pid, h.mine) {
		return 1
	}
	return 0
}

// kill answers whether there was such a process, alive.
func (h *hunt) kill(pid int, still func(int) bool) bool {
	if h.spare == nil {
		h.spare = ancestors() // rarely needed: most ends are clean
	}
	if h.spare[pid] {
		return false
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		// Gone, or the number of a thread: its process has its own.
		return err != unix.ESRCH && err != unix.EINVAL && err != unix.ENOENT //nolint:errorlint // straight from the system
	}
	defer func() { _ = unix.Close(fd) }()
	st, ok := statOf(pid)
	if !ok || st.over() || !still(pid) {
		return false
	}
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	if h.seen == nil {
		h.seen = map[int]struct{}{}
	}
	h.seen[pid] = struct{}{}
	return true
}

// collectTree kills what a run left behind that its group does not name.
func (p *Process) collectTree(end time.Time) (killed, alive int) {
	if p.cgroup != nil {
		killed, alive = p.cgroup.collect(end)
	}
	if len(p.marker) == 0 {
		return killed, alive
	}
	h := &hunt{}
	h.mine = func(pid int) bool {
		worn, there := h.wornBy(pid)
		switch {
		case !there:
			return false
		case p.from.token != 0 && worn == uint64(p.from.token):
			return true
		case p.cgroup != nil: // it holds all but those that moved out, and they have the token
			return false
		case isToken(worn): // of another run
			return false
		}
		return hasVars(h.environ(pid), p.marker)
	}
	if p.from.cursor > 0 && time.Since(p.from.at) < shortRun {
		h.from = p.from.cursor + 1
	}
	if theKin().adopting.Load() {
		h.orphans = func() []int { return theKin().nobodysOrphans() }
	}
	more, left := h.run(end)
	return killed + more, alive + left
}
