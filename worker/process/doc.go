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
//   - Done is closed in bounded time after the main process has ended: its
//     group is killed, and whoever holds its output open is given one second.
//
// # What it does not promise
//
//   - Processes that left the group (setsid, setpgid) are not found here. What
//     finds them belongs in tree.go.
//   - Without Linux there is no death with the worker, and a group is named by
//     number for the instant between the end of its leader and its collection.
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
//	      exit seen, not reaped ── reaped ── group killed ── readers end
//	                                                           |
//	                                        Exited ── Done ◄───'
package process
