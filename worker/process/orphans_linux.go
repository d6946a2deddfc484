package process

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reapEvery bounds how often adopted orphans are looked for.
const reapEvery = 50 * time.Millisecond

// AdoptOrphans makes this process the new parent of every descendant whose own
// parent ends, and reaps those that end, until ctx ends (it stays the parent).
// Collecting a run then also finds processes that carry no marker any more: an
// orphan that is older than every live run must be of one that is over.
//
// It is for a process that starts children through this package only: any
// other child that ends is reaped like an orphan, and may be killed as one.
func AdoptOrphans(ctx context.Context) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of orphans: %w", err)
	}
	k := theKin()
	k.adopting.Store(true)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		defer signal.Stop(ended)
		pause := time.NewTimer(reapEvery)
		defer pause.Stop()
		for {
			k.reapStrangers()
			pause.Reset(reapEvery)
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
			select {
			case <-ctx.Done():
				return
			case <-ended:
			}
		}
	}()
	return nil
}

// reapStrangers takes the status of children that ended and are nobody's main
// process. Never of any child: that would take the status of a run.
func (k *kin) reapStrangers() {
	k.fork.Lock()
	defer k.fork.Unlock()
	for _, pid := range k.strangers() {
		for {
			_, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			if !errors.Is(err, syscall.EINTR) {
				break
			}
		}
	}
}

// nobodysOrphans are the adopted processes that no live run can have started.
func (k *kin) nobodysOrphans() []int {
	k.fork.Lock()
	defer k.fork.Unlock()
	oldest := uint64(math.MaxUint64)
	for _, start := range k.mains {
		oldest = min(oldest, start) // an unknown start is 0: nothing is older
	}
	var found []int
	for _, pid := range k.strangers() {
		if st, ok := statOf(pid); ok && !st.over() && st.start < oldest {
			found = append(found, pid)
		}
	}
	return found
}

// strangers are the children that are no main process. Call it with fork held.
func (k *kin) strangers() []int {
	var found []int
	for _, pid := range children() {
		if _, main := k.mains[pid]; !main {
			found = append(found, pid)
		}
	}
	return found
}

// children are this process' own; the list may miss one while others end. None
// where the kernel does not show them.
func children() []int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	var found []int
	for _, task := range tasks {
		text, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				found = append(found, pid)
			}
		}
	}
	return found
}

func isChild(pid int) bool {
	st, ok := statOf(pid)
	return ok && st.parent == os.Getpid()
}
