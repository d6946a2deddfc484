// Package process runs one subprocess from start to end: it spawns it, feeds
// it, reads it, stops it and says how it ended.
//
// # What it promises
//
//   - The subprocess gets the environment it was given and no other variable,
//     the three standard files and no other descriptor, and a process group of
//     its own.
//   - Its standard input is the body and then EOF. A subprocess that never
//     reads does not hold up anything.
//   - Its output is read until it ends, with bounded memory, whatever it
//     prints: lines of megabytes, no newline at all, nothing.
//   - On Linux it dies with the worker: it is killed when the thread that made
//     it ends, and that one thread lives as long as the worker.
//   - The cause of a stop is on record, with its time, before the first signal
//     leaves. A stop of a subprocess that has ended does and records nothing.
//   - A signal never reaches a stranger: the main process and its group are
//     named by a pidfd where the kernel can do that, else by number and only
//     while the number is still taken by the main process, dead or alive.
//   - What a run leaves behind is killed after every end, a good one included:
//     its group, all of its cgroup where it has one, and on Linux every process
//     that carries its marker (see tree.go). Exit.Alive is 0 only when that is
//     known to have worked.
//   - Done is closed in bounded time after the main process has ended: two
//     seconds for that, and one for whoever holds its output open.
//   - What a dead worker left on this host is killed by the next one that starts
//     (SweepLeftovers), and nothing of a worker that lives.
//
// # What it does not promise
//
//   - Without a cgroup, a process that means to get away does: it has to leave
//     the group and shed environment, token and parent. Then only its age tells
//     (AdoptOrphans), and while older runs are live that tells nothing; what
//     dies with the worker is the supervisor's business. A process of the same
//     user may move itself out of a cgroup; it is found by its token then.
//   - A service that somebody else starts on a run's behalf (a container, a
//     timer of the system) is found only if it carries the run's environment.
//   - Without Linux a run is its group, there is no death with the worker, and a
//     group is named by number for the instant between the end of its leader and
//     its collection.
//   - A worker that ignores a signal (signal.Ignore, SIG_IGN) hands that on to
//     its subprocesses. Whoever wants to be deaf to SIGTERM must catch it and
//     drop it, or the stop ladder always runs out its grace.
//
// # One life
//
//	Start ── pipes ── spawner thread: BeforeSpawn, fork, exec ── Spawned ──.
//	                                                                       |
//	      .── stdin: body, EOF                                             |
//	      |── stdout: lines, chunks ───────────────────────── live ────────'
//	      '── stderr: lines, chunks, tail                      |
//	                                                           |
//	Stop ── intent ── stop signal, SIGCONT ── grace ── SIGKILL |  (to the group)
//	                                                           v
//	      exit seen, not reaped ── reaped ── collected ── readers end
//	                                                           |
//	                                        Exited ── Done ◄───'
//
// # Two markers
//
// A run is known by entries of its environment and by a token, a number in the
// soft limit for file locks, which no kernel looks at any more. Programs clear
// or overwrite their environment, few ever touch that limit; services that are
// asked to start something take over the environment but not the limit. So both
// are looked at:
//
//	                           environment  token
//	setsid, fork twice         found        found
//	env -i, setproctitle       -            found
//	not dumpable               -            found
//	setrlimit, prlimit         found        -
//	started by a daemon        perhaps      -
package process
