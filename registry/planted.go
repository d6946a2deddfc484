package registry

// bug names a guard that a test may take out, to see that the tests miss it.
type bug string

const (
	bugKnock   bug = "knock"   // a release does not look whether somebody knocked
	bugUnclean bug = "unclean" // a run whose lease this memory of Redis does not know is superseded at once
	bugUntil   bug = "until"   // a lease whose lock vanished counts as over at once
	bugCAS     bug = "cas"     // a run is opened whatever the record says meanwhile
	bugDone    bug = "done"    // the done mark is not looked at
	bugTrust   bug = "trust"   // a lease is trusted for a second longer than it lives
)
