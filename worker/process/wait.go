package process

import "time"

// readWait is how long output may stay open after the main process has ended
// and its group was killed: somebody outside the group holds it.
const readWait = time.Second

// wait sees the subprocess through its end. Done is closed by nothing else.
func (p *Process) wait() {
	p.leader.awaitEnd()

	// Under the lock, so that no signal by number can leave after the reaping:
	// that is when the number becomes free for a stranger.
	p.mu.Lock()
	p.over = true
	if p.killTimer != nil {
		p.killTimer.Stop()
	}
	e := Exit{Code: -1, At: time.Now()}
	p.leader.beforeReap()
	if status, ok := p.leader.reap(); ok {
		if status.Signaled() {
			e.Signal = status.Signal()
		} else {
			e.Code = status.ExitStatus()
		}
	}
	p.mu.Unlock()
	theKin().reaped(p.leader.pid)

	e.OOM = p.cgroup.oom() // before its cgroup is gone
	e.Leftovers, e.Alive = p.collect()
	p.clean = e.Alive == 0

	end := time.Now().Add(readWait)
	p.stdout.endBy(end)
	p.stderr.endBy(end)
	if p.stdin != nil {
		p.stdin.abandon()
	}
	p.work.Wait()

	if p.exited != nil {
		p.exited()
	}
	if p.clean {
		p.leader.close()
	}
	p.ends(e)
}

// ends makes the exit known.
func (p *Process) ends(e Exit) {
	p.once.Do(func() {
		p.exit = e
		close(p.done)
	})
}
