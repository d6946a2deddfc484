// Package queue is Curfew's view of JetStream: the stream of jobs, the hints that a worker is given, dead letters, events
// and output. It knows nothing of leases, records or subprocesses.
//
//	producer --Publish--> <ns>.jobs.<uuid> --+
//	                                         +--> stream <NS>_JOBS (work queue) --Hints--> a worker with a free slot
//	anybody ---Wake-----> <ns>.wake.<uuid> --+        |    ^                                     | holds the session's lease
//	                                                  |    +--- Head, Get, Next (leader reads) --+
//	                                                  +-------- Remove --------------------------+
//	                                                                                             |
//	           <NS>_DEAD   <ns>.dead.<uuid>    30 d   <--Bury-- --Replay--> jobs                 |
//	           <NS>_EVENTS <ns>.events.<uuid>   7 d   <--Emit, Final, Announce-------------------+
//	           <NS>_OUTPUT <ns>.output.<uuid>  24 h   <--WriteOutput-----------------------------+
//
// # What it promises
//
//   - A job that was acknowledged to its producer stays in the stream until Remove or an Ack of its delivery. A full
//     backlog or stream refuses the publisher; it drops nobody's job.
//   - A delivery is asked for only while somebody waits in Hints.Next, one at a time: no worker hoards. After Drain or the
//     end of ctx what still arrives is handed out or goes back at once.
//   - Bury and Final happen once per message, also when repeated after a crash; a letter is removed only after its replay is stored.
//   - Any message can be read, refused with a reason and buried, whatever bytes its subject and headers hold.
//   - A server restart, a deleted consumer and a deleted stream heal by themselves (DeclareNever: once an operator has made them again).
//     Epoch rises each time, and Remove, Ack and Nak look before they touch a sequence number of an earlier epoch.
//
// # What it does not promise
//
//   - Order of deliveries, or one delivery per session: deliveries are news, Head says what is next.
//   - That a read is the latest on a replicated stream: a removed message may show for a moment. Whoever must not run a job twice keeps a
//     mark of what is done (package registry).
//   - That Ack, Nak and InProgress arrived: nothing may depend on them but the time of the next delivery.
//   - That Emit and WriteOutput are stored: they are bounded and best effort.
//   - That every message will be delivered: nats-server can forget one that lies in the stream. Stranded finds such.
package queue
