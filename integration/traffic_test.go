package integration

import (
	"math/rand/v2"
	"time"
)

// traffic is a shape of work: so many producers, each with one session at a time.
type traffic struct {
	name   string
	lines  int
	fresh  bool // each job has a session of its own
	turn   int  // a producer takes a new session after so many jobs; 0: never
	change func(*config)
	// next answers a session's n-th job, and how long its producer waits before the one after it.
	next func(r *rig, session string, n int, dice *rand.Rand) (*job, time.Duration)
}

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func sleeping(d time.Duration) string { return "sleep " + d.String() }

// traffics are what is disturbed.
var traffics = []traffic{
	{name: "single jobs", lines: 3, fresh: true, next: func(r *rig, session string, _ int, dice *rand.Rand) (*job, time.Duration) {
		return r.job(session, script(sleeping(millis(100+dice.IntN(400)))), repeatable()), millis(300 + dice.IntN(300))
	}},
	{name: "long queues", lines: 2, next: func(r *rig, session string, n int, dice *rand.Rand) (*job, time.Duration) {
		pause := millis(5)
		if n%6 == 5 {
			pause = millis(1500)
		}
		return r.job(session, script(sleeping(millis(50+dice.IntN(300)))), repeatable()), pause
	}},
	{name: "replace and reject", lines: 3, next: func(r *rig, session string, _ int, dice *rand.Rand) (*job, time.Duration) {
		options := []jobOption{repeatable(), wants("succeeded", "replaced")}
		switch dice.IntN(4) {
		case 0:
			options = append(options, conflict("replace"))
		case 1:
			options = append(options, conflict("reject"), wants("succeeded", "replaced", "rejected"))
		}
		return r.job(session, script(sleeping(millis(100+dice.IntN(500)))), options...), millis(150 + dice.IntN(400))
	}},
	{name: "crashes", lines: 4, change: func(c *config) { c.Retry.Attempts = 3 }, next: func(r *rig, session string, n int, dice *rand.Rand) (*job, time.Duration) {
		kinds := []struct {
			lines []string
			want  string
		}{
			{[]string{"@1 exit 1"}, "succeeded"},
			{[]string{"@-2 exit 3"}, "succeeded"},
			{[]string{"signal TERM"}, "terminated"},
			{[]string{"@1 signal KILL"}, "succeeded"},
			{[]string{"exit 42"}, "failed"},
			{[]string{"exit 1"}, "crashed"},
		}
		kind := kinds[(n+dice.IntN(2))%len(kinds)]
		// A fault may use up an attempt without a failure, and what fails by its attempt then does so once less.
		return r.job(session, script(append([]string{sleeping(millis(dice.IntN(200)))}, kind.lines...)...), repeatable(), wants(kind.want)), millis(400 + dice.IntN(400))
	}},
	{name: "long runs", lines: 3, next: func(r *rig, session string, n int, dice *rand.Rand) (*job, time.Duration) {
		lines := []string{sleeping(leaseTTL + millis(dice.IntN(2000)))}
		if n%2 == 0 {
			lines = append([]string{"ignore-term"}, lines...)
		}
		return r.job(session, script(lines...), repeatable()), leaseTTL
	}},
}
