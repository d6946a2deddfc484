package integration

import (
	"syscall"

	"github.com/stretchr/testify/require"
)

var workerFaults = func() []fault {
	all := []fault{
		{name: "worker killed", excuse: rerun, make: of(workerDies{worker: true})},
		{name: "supervisor killed", excuse: rerun, make: of(workerDies{supervisor: true})},
		{name: "worker and supervisor killed", excuse: rerun, make: of(workerDies{worker: true, supervisor: true})},
		{name: "worker frozen", excuse: rerun, hold: 2 * leaseTTL, make: of(workerFrozen{})},
		{name: "worker drained", excuse: rerun, make: of(workerDrained{})},
	}
	for _, step := range []string{"open", "spawn", "exit", "close", "deadletter", "event", "remove", "leave", "release"} {
		all = append(all, fault{name: "worker killed at " + step, excuse: rerun, make: of(workerDiesAt{step: step})})
	}
	return all
}()

// workerDies is kill -9 of the worker, of its supervisor, or of both as when the host dies.
type workerDies struct{ worker, supervisor bool }

func (f *workerDies) Inject(r *rig) {
	x := r.pick()
	r.part(x)
	inner := x.inner()
	if f.supervisor {
		x.signal(killSignal)
	}
	if f.worker {
		_ = syscall.Kill(inner, syscall.SIGKILL)
	}
	_, ended := x.wait(patience)
	require.True(r.t, ended, "the worker is gone")
}

func (f *workerDies) Heal(r *rig) { r.hire() }

// workerFrozen stands still for longer than its leases live; its supervisor does not.
type workerFrozen struct {
	worker *linked
	inner  int
}

func (f *workerFrozen) Inject(r *rig) {
	f.worker = r.pick()
	f.inner = f.worker.inner()
	require.NoError(r.t, syscall.Kill(f.inner, syscall.SIGSTOP))
}

func (f *workerFrozen) Heal(*rig) { _ = syscall.Kill(f.inner, syscall.SIGCONT) }

// workerDrained is what a deployment does.
type workerDrained struct{ worker *linked }

func (f *workerDrained) Inject(r *rig) {
	f.worker = r.pick()
	r.part(f.worker)
	f.worker.signal(termSignal)
}

func (f *workerDrained) Heal(r *rig) {
	code, ended := f.worker.wait(patience)
	require.True(r.t, ended, "the worker drains")
	require.Zero(r.t, code, tail(f.worker.output(), 2000))
	r.hire()
}

// workerDiesAt is kill -9 at a step of a job's life.
type workerDiesAt struct{ step string }

func (f *workerDiesAt) Inject(r *rig) {
	x := r.hireAsync(killAt(f.step))
	r.part(x)
	job, want := script("sleep 50ms"), "succeeded"
	if f.step == "deadletter" {
		job, want = script("sleep 50ms", "exit 42"), "failed"
	}
	r.awaitWithJobs(func() bool { return !x.alive() }, job, want, "a worker came to the step %s", f.step)
}

func (*workerDiesAt) Heal(*rig) {}
