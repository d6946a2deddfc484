// Package supervisor is the parent of a worker: it ends what the worker no
// longer can.
//
// A command that runs a worker calls Main first. The process that was started
// becomes the supervisor, starts the same program again as the worker, and stays
// until everything is over. The worker calls Connect, and tells the supervisor
// of every subprocess it has, with a deadline.
//
//	   signals                                            exit code
//	      |                                                   ^
//	      v            drain, hand back                       |
//	 .------------. ------------------------> .--------.      |
//	 | supervisor |     SOCK_SEQPACKET        | worker | -----'
//	 '------------' <------------------------ '--------'
//	   subreaper,       open renew close        subreaper,
//	   timer on         pidfds (SCM_RIGHTS)     deaf to TERM INT HUP TSTP
//	   CLOCK_BOOTTIME                              |
//	                                               '-- runs, and the orphans they leave
//
//	one run:   worker                       supervisor
//	           ------                       ----------
//	           Open(id, deadline) ------->  may live until then
//	           fork
//	           Spawned(id, pid, pidfd) -->  expired meanwhile, or not open: killed at once
//	           Renew(id, deadline) ------>  may live until then
//	              ...                       deadline passes: killed, and for good
//	           reap, collect
//	           Close(id) ---------------->  forgotten; no other run open: what is left is killed
//
// # What it promises, on Linux
//
//		what happens                    | what follows
//		--------------------------------+---------------------------------------------------------
//		the worker dies                 | whatever descends from it is killed: sessions and groups
//		                                | of their own, double forks, cleared environments
//		the supervisor dies             | the same, by the worker (Guard), which then ends
//		a deadline passes unrenewed     | the run, its children and their groups and sessions are
//		(frozen worker, lost lease)     | killed; when no other run is open, everything but the worker
//		both die at once                | the runs' main processes die with the worker, by their
//		                                | own death signal (worker/process)
//		no run is open                  | nothing but the worker is left alive
//		the first TERM, INT or HUP      | OrderDrain
//		another TERM or INT             | OrderHandBack
//		QUIT                            | passed on: the worker prints its goroutines and dies
//		the worker ends                 | the supervisor ends, with its exit code, or 128 + signal
//
//	  - Deadlines are absolute, on the clock that goes on while the machine sleeps.
//	    A renewal that was sent in time counts, even when the supervisor was held up
//	    itself. One that comes too late does not bring a run back.
//	  - Signals count once, also where terminal or service manager send them to
//	    both. The worker catches and drops them: ignoring is inherited by agents.
//	  - It reaps whatever is orphaned, so it is a correct PID 1. The worker reaps
//	    the orphans it adopts, but never a run's main process: that status is its
//	    owner's.
//	  - A signal never reaches a stranger: processes are named by pidfds, and only
//	    what descends from the supervisor is ever looked at.
//	  - Neither environment can be read by other processes of the same user, those
//	    of the worker first of all. This does not pass on to what the worker starts.
//	  - The supervisor has a thread that polls and 5 to 9 MiB of memory, also while
//	    thousands of runs pass: it gives back what it has touched (shrink_linux.go).
//	  - A run in a cgroup of its own (OpenIn) is killed by it, at its deadline and
//	    when the worker dies: that ends chains of processes that nobody can list.
//
// # What it does not promise
//
//   - While another run is live, an orphan that left its run's groups and
//     sessions before the deadline is not known to be that run's: it lives until
//     no run is open, or until its cgroup is killed (OpenIn), or its mark found
//     (worker/process).
//   - A chain of processes that replace each other faster than they can be listed
//     outruns it. Only a cgroup ends those.
//   - What sleeps uninterruptibly in the kernel cannot be killed. It is given five
//     seconds, is named on standard error, and stays behind.
//   - A pause of the whole machine stops the supervisor too, and so does SIGSTOP
//     to it: only the lease and the fence cover that.
//   - When both die at once, what was orphaned or has left its group lives until
//     the next worker starts and sweeps.
//   - Whatever the worker starts has to be opened first: anything else is a
//     leftover, and a child that nobody announced may have its status taken.
//   - Where /proc hides processes (hidepid=2), the supervisor cannot see what is
//     below a live worker that is not root's; it sees everything once that is dead.
//   - Other systems than Linux have none of this: Main and Connect answer that
//     there is no supervisor, and a nil Client does nothing.
package supervisor
