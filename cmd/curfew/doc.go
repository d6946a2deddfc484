// Command curfew runs agent sessions on a fleet of workers and ends each of them at its curfew.
//
//	worker dev demo                          run something
//	publish                                  give work
//	sessions show logs                       look
//	stop cancel extend dead sweep setup      act
//	config version                           about this installation
//
// One file holds one command. Each answers an error and never ends the process; exit.go turns errors into exit codes:
//
//	0 done   1 failed   2 wrong usage or configuration   3 not found   4 NATS or Redis unreachable
//	publish --wait: 10 dead letter   11 terminated, stopped, cancelled or replaced   12 expired
//	130 ended by Ctrl-C before it was done
//
// Results go to stdout, all else to stderr. Nothing here decides about sessions: that is package worker's, and what a
// command orders is written into the session's record for the worker that holds it.
package main
