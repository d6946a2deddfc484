// Package jobs is an explicit-state model of one session: the stream with its shared consumer, the record under compare-and-set,
// the lease in Redis, two or three workers, and whatever goes wrong between them.
//
// What is promised, and checked in every state (see promises.go): no two live subprocesses; order; a closed job never runs again;
// fences rise; nothing starts after a tombstone, nor after a halt that was written before its run was opened; each job is
// accounted for exactly once; and from every state without further faults all work gets done.
//
// What is simplified:
//
//   - Time is abstract. A lease runs out, and an open run may be superseded, only when its holder no longer trusts it. The model in
//     the package lease checks with a clock that this is so.
//   - A worker's step is atomic: one request with its answer, or with the answer lost.
//   - Reads are at most one version old. Sequences are the jobs' numbers, from 1.
//
// What is not in it: a stream made anew, conflict policy reject, duplicate windows that end, more than one session.
//
// Names and rules are those of docs/decisions.md; the code they stand for is named beside each.
package jobs
