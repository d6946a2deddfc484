// Package console is a worker's small HTTP server:
//
//	/          a live page of the fleet, /live its part that changes (see board)
//	/healthz   200 while the process answers at all
//	/readyz    200 while it reaches NATS and Redis and pulls, else 503 with the reason
//	/metrics   Prometheus; every name begins with curfew_, beside the collectors of Go and of the process
//
// It only reads: what is no GET or HEAD is refused, but for the form that takes the token. On loopback it is open, but answers only requests for a loopback host, so that a page in a browser
// cannot reach it under a name of its own. Beyond loopback every path wants a bearer token, compared in constant time,
// and the host asked for must be an IP address, this machine or one that the configuration names. A browser gets a cookie
// for the token (login.go).
//
// The page runs its own script and style, known by their hashes, and nothing else: no name, id or reason from outside can
// become more than text, and text without marks that turn it around.
//
// It does not encrypt: put a proxy before it where the network is not trusted.
package console
