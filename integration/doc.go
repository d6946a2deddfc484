// Package integration holds the end-to-end tests: the real program, real nats-server, real redis-server, real subprocesses.
//
// Nothing here looks inside. A test starts `curfew worker` from a configuration file, publishes jobs with a plain NATS
// client, disturbs whatever the scenario is about, and then judges what was seen from outside:
//
//	test ── publishes, signals, kills, deletes ──> nats-server   redis-server   curfew worker ...
//	                                                    │                             │ spawns
//	                                                    │ events, dead letters        v
//	                                                    │                       witness (this test binary again)
//	                                                    v                             │ flock + journal
//	                                                 history <────────────────────────┘
//	                                                    │
//	                                                 judge: pure functions over the history
//
// The witness takes an exclusive lock on a file of its session. The kernel gives that lock up when the process is gone, not
// when somebody believes so: two witnesses that were alive at once cannot both have had it. Order, fences and attempts come
// from the journal the witnesses append to, the outcome of each job from its events. A history in which nothing happened is
// a failed test.
//
// The judge is judged too: in the build that these tests use, one guard at a time can be taken out of the program, and then
// the judge must say which promise broke (planted_test.go).
//
// Below lies model: the protocol as explicit-state models, for the orders of events that no test brings about.
//
// What these tests do not show: durability across a power cut (servers are killed, the machine is not), and real agents.
//
// Environment:
//
//	CURFEW_TEST_REQUIRE=redis   a missing redis-server fails instead of skipping what needs one (without it, and where
//	                            nothing has to be killed, an in-process stand-in serves)
//	                            chromium beside it (redis,chromium): the same for the page's browser
//	CURFEW_TEST_ARTEFACTS=DIR   where pictures of the page go; without it they go with the test's other files
//	CURFEW_TEST_KEEP=1          leaves the work folder with logs, journals and stores, and says where
package integration
