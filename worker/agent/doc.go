// Package agent knows how to call an agent's command line program: which
// arguments and environment a run gets, how its output is read, and what its
// exit codes mean. It starts nothing.
//
// # What it promises
//
//   - A program is called with an argument vector, never through a shell, and
//     placeholders are replaced once: what they bring in is not looked at again.
//   - The environment of a run is what Environ lists and nothing else. The
//     worker's own variables, its credentials with them, are not in it unless
//     the configuration names them one by one; CURFEW_ ones cannot be named.
//   - What a Reader keeps is bounded.
//
// # What it does not promise
//
// It does not judge a run: a Verdict says what the output said, an exit rule
// what the configuration says. Which of them counts is the settlement's
// decision.
//
// # How a run is called
//
//	configured          first job, until one has succeeded   later jobs
//	command             command                              command
//	first and resume    first                                resume
//
// # Events
//
//	plain    the exit code decides; the result is the end of standard output
package agent
