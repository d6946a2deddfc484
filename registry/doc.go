// Package registry knows who owns a session and what has happened to it: the
// lease, in Redis; the record, in a JetStream bucket; and the table of the runs
// that are alive on this host.
//
// # Lease
//
// A lease is the right to run one session, given to one adoption at a time. It
// promises:
//
//   - While one token trusts its lease, no other token is granted one and
//     trusts it too, except after Redis has lost what it knew: then the record
//     must refuse to supersede a run that is open, and Acquire, told of that
//     run, grants nothing until its lease is surely over.
//   - A holder that reaches Redis keeps its session through a flush, a restart
//     without persistence, an eviction and a failover: its next renewal puts
//     the lease back.
//   - A holder that does not reach Redis stops trusting its lease ttl - margin
//     after the start of its last good renewal, by a clock that goes on while
//     the host sleeps; Lost says so at that moment and not before.
//   - A refused worker leaves a knock. A holder that wants to go while there is
//     one that it has not seen is told to look again.
//
// It does not promise:
//
//   - that Redis remembers anything. Nothing that may not be lost is kept there.
//   - that the clock of Redis never jumps: the margin must cover steps forward,
//     and a step back is waited for, for one ttl at most.
//   - anything where workers see two primaries at once (set min-replicas-to-write)
//     or where INFO is forbidden to the workers (then a failover cannot be told
//     from an uninterrupted life).
//   - fairness between workers, or order: that is the stream's.
//
// What Redis holds, per session, in one Cluster slot:
//
//	<ns>:{<uuid>}:lock    token                     expires after ttl
//	<ns>:{<uuid>}:lease   token until released      the last lease, and whether its holder gave it back
//	                      knock knock_seq           refusals counted, never cleared; highest sequence refused
//	                      missing_since missing_run when an open run's lease was found unknown, and in which memory
//	                      run                       the memory it was written in: run_id+master_replid
//
// What acquire answers, first match from the top:
//
//	lock is               lease remembers                     open run          answer
//	the asking token's    -                                   -                 granted again
//	another token's       -                                   -                 held, knocked
//	gone                  the asking token as released        -                 used
//	gone                  a token not released, until ahead   -                 unclean until then
//	gone                  another token, or an earlier memory some              unclean for one ttl from the first time
//	gone                  anything else                       -                 granted
//
// What renew answers:
//
//	lock is                 answer
//	ours                    ours
//	gone                    again (put back), unless we released it: lost
//	another's, same memory  lost: ask again at once while a run of ours is open, else the lease is lost
//	another's, older memory again (taken)
//
// The time line of a lease that nobody renews any more, with the default terms:
//
//	0 s   start of the last good renewal
//	13 s  trust ends: Lost is closed, by now the subprocess is dead     (ttl - margin)
//	15 s  at the latest after Redis answered: others are granted        (ttl)
//
// # Record
//
// The record of a session is described beside [Records].
//
// # Table
//
// The [Table] sees to it that a run of a session starts on this host only after
// its predecessor's process has exited. It knows nothing of other hosts.
package registry
