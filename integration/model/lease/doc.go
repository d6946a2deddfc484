// Package lease is an explicit-state model, with a clock, of the lease in Redis and of superseding an open run: two workers, requests
// that arrive late or not at all, freezes, loss of memory, promotion of a replica that is behind, eviction of either key, steps of
// Redis' clock. The record is one register here: the open run's token.
//
// What is promised, and checked in every state: no two live subprocesses; a token that was released never holds the lock again; and,
// where a configuration asks for it, a holder that reaches Redis keeps its run.
//
// It shows what the model in the package jobs takes for granted: that an open run is superseded only when its holder no longer trusts
// its lease. Time is counted in ticks, a lease lasts TTL of them, and trust ends Margin earlier.
package lease
