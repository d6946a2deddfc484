// Package console is a worker's small HTTP server:
//
//	/healthz   200 while the process answers at all
//	/readyz    200 while it reaches NATS and Redis and pulls, else 503 with the reason
//	/metrics   Prometheus; every name begins with curfew_, beside the collectors of Go and of the process
//
// It only reads. On loopback it is open, but answers only requests for a loopback host, so that a page in a browser
// cannot reach it under a name of its own. Beyond loopback every path wants a bearer token, compared in constant time,
// and the host asked for must be an IP address, this machine or one that the configuration names.
//
// It does not encrypt: put a proxy before it where the network is not trusted.
package console
