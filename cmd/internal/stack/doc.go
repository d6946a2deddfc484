// Package stack runs what a fleet needs inside this process, so that trying Curfew needs nothing else installed:
//
//	nats-server   JetStream in <data>/nats, kept over restarts, jobs up to 8 MiB
//	miniredis     leases in memory, its clock running
//
// Both listen on loopback only, without passwords: whoever has an account on this machine reaches them. One process
// at a time may have a data folder; a second one is refused with ErrLocked.
//
// It is for development, demonstrations and tests. It does not promise the durability, the access control or the pace
// of real servers; leases are forgotten at a restart, which costs a session with an open run one ttl of waiting.
package stack
