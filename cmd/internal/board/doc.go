// Package board keeps what a page shows of a fleet: its sessions, its workers, its recent ends and how deep its queue is.
//
// It promises that looking costs little: the servers are asked once a second at most, however many look, and for the records
// only what changed; nobody looking, only the queue's depth is asked for, every ten seconds, and after a while the rest is
// forgotten. It holds no prompt, no output and no answer of an agent, only names, numbers and times. It writes nothing.
//
// It does not promise to be exact. Sessions come from the records, what waits from the jobs stream, workers from who answers
// a roll call, each asked at its own moment; of a session's ends the last one is known. Where a server does not answer it
// shows what it saw last, and says so.
//
//	Run ── every 10 s ──> queue: depth ──> history
//	 │
//	 └── while somebody looks, every second ──> records: what changed, the halt ─┐
//	                            every 2 s .. ──> queue: what waits, who is there ┴──> View (never changed again)
package board
