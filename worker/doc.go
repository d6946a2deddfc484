// Package worker runs session jobs: one adoption at a time for each session,
// from the hint that named it to the release of its lease.
//
// It promises that
//
//   - a session's jobs run one at a time, in the order of their publishing;
//   - every job ends with exactly one final event, and with a dead letter where
//     the table below says bury;
//   - a job whose subprocess got a SIGTERM from outside is over, a job whose
//     worker got it runs elsewhere;
//   - nothing starts after the session's wall clock is over, and what is live
//     then is stopped;
//   - after losing a lease it sends nothing and writes nothing.
//
// It does not promise that a job runs only once: one whose worker died, or lost
// its lease, runs again, with a higher fence and a higher attempt. A process that
// sheds its group, its parent and every mark of its run may outlive its agent,
// though on Linux never its worker (see worker/process and worker/supervisor).
//
// # An adoption
//
//	hint --> read the record: paused, in backoff --> NAK until then
//	   |     acquire the lease: held --> knock, NAK; unclean --> NAK until it is surely over
//	   v
//	 turn: a finished job still in the stream --> its effects again, remove it
//	   |   the session is over --> tombstone, bury and remove what waits, announce
//	   |   no head --> release --knocked--> turn
//	   |                      `--gone--> settle the hint
//	   v
//	 open the run (compare-and-set) --> subprocess <-- stop(intent)
//	   |
//	   v
//	 settle (table) --> close (compare-and-set: the commit point)
//	   |                 |
//	   |                 `--> dead letter --> final event --> remove --> turn
//	   v
//	 backoff, drain: release, then the hint goes back (or a wake is published)
//
// # Settlement
//
// Settle is this table. An intent is why this worker asked the run to stop; the
// first one counts. TERM means killed by SIGTERM, or exit code 143.
//
//	intent     | exit               | outcome       | job
//	-----------+--------------------+---------------+---------
//	none       | good               | succeeded     | ack
//	none       | TERM               | terminated    | ack
//	none       | no resources       | handed_back   | requeue
//	none       | no program         | misconfigured | bury
//	none       | not started        | crashed       | retry
//	none       | rule succeed       | succeeded     | ack
//	none       | rule dead          | failed        | bury
//	none       | rule retry         | crashed       | retry
//	none       | rule suspend       | handed_back   | keep
//	none       | 126                | misconfigured | bury
//	none       | 127                | misconfigured | bury
//	none       | 0, no terminal     | truncated     | retry
//	none       | 1                  | crashed       | retry
//	none       | 137                | crashed       | retry
//	none       | SIGKILL            | crashed       | retry
//	none       | SIGSEGV            | crashed       | retry
//	none       | 1, last attempt    | crashed       | bury
//	expired    | any                | expired       | bury
//	cancelled  | any                | cancelled     | ack
//	stopped    | any                | stopped       | ack
//	replaced   | any                | replaced      | ack
//	timeout    | any                | timed_out     | bury
//	idle       | any                | stalled       | retry
//	idle       | any, last attempt  | stalled       | bury
//	budget     | any                | over_budget   | keep
//	lease lost | any                | lost          | nothing
//	lease lost | good, before stop  | lost          | nothing
//	draining   | any                | handed_back   | requeue
//	draining   | any, on_drain ack  | handed_back   | ack
//	draining   | any, on_drain dead | handed_back   | bury
//	draining   | TERM, before stop  | terminated    | ack
//	draining   | 1, before stop     | crashed       | retry
//	draining   | good, before stop  | succeeded     | ack
//	halted     | any                | handed_back   | keep
//	halted     | 1, before stop     | crashed       | retry
//	cancelled  | good, before stop  | succeeded     | ack
//	expired    | good, before stop  | succeeded     | ack
//	draining   | good terminal      | succeeded     | ack
//	cancelled  | good terminal      | succeeded     | ack
//
// An end by TERM that nobody here asked for counts as the drain's when a drain
// of this worker begins within half a second of it: service managers and
// terminals signal worker and subprocess at once. handed_back, stopped and
// over_budget count no failure.
package worker
