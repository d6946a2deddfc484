package integration

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"os"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	cutFor    = leaseTTL + 2*time.Second
	slowBy    = 200 * time.Millisecond // there and back
	slowFor   = 4 * time.Second
	toNATS    = "nats"
	toRedis   = "redis"
	toBoth    = "nats and redis"
	scriptDir = "../registry/lua/"
)

var lineFaults = []fault{
	{name: "worker cut off from redis", excuse: rerun, hold: cutFor, make: of(workerCut{from: toRedis})},
	{name: "worker cut off from nats", excuse: nothing, lease: patientLease, hold: cutFor, make: of(workerCut{from: toNATS})},
	{name: "worker cut off from both", excuse: rerun, hold: cutFor, make: of(workerCut{from: toBoth})},
	{name: "redis slow", excuse: nothing, lease: patientLease, hold: slowFor, make: of(slow{to: toRedis})},
	{name: "nats slow", excuse: nothing, lease: patientLease, hold: slowFor, make: of(slow{to: toNATS})},
	{name: "answer to acquire lost", excuse: nothing, lease: patientLease, make: of(answerLost{script: "acquire"})},
	{name: "answer to renew lost", excuse: nothing, lease: patientLease, make: of(answerLost{script: "renew"})},
	{name: "answer to release lost", excuse: nothing, lease: patientLease, make: of(answerLost{script: "release"})},
}

// lines are a worker's links to what is named.
func (x *linked) lines(to string) []*link {
	switch to {
	case toNATS:
		return []*link{x.nats}
	case toRedis:
		return []*link{x.redis}
	default:
		return []*link{x.nats, x.redis}
	}
}

// workerCut is a pulled cable: nothing is refused, nothing arrives until it is back, and then all of it.
type workerCut struct {
	from   string
	worker *linked
}

func (f *workerCut) Inject(r *rig) {
	f.worker = r.pick()
	for _, k := range f.worker.lines(f.from) {
		k.cut()
	}
}

func (f *workerCut) Heal(*rig) {
	for _, k := range f.worker.lines(f.from) {
		k.mend()
	}
}

// slow makes every round trip of every worker 200 ms longer.
type slow struct{ to string }

func (f *slow) Inject(r *rig) {
	for _, x := range r.crew {
		for _, k := range x.lines(f.to) {
			k.slow(slowBy / 2)
		}
	}
}

func (f *slow) Heal(r *rig) {
	for _, x := range r.crew {
		for _, k := range x.lines(f.to) {
			k.mend()
		}
	}
}

// answerLost swallows an answer of Redis on its way to the first worker that asks, or to each that asks meanwhile; the script
// was executed.
type answerLost struct{ script string }

func (f *answerLost) Inject(r *rig) {
	text, err := os.ReadFile(scriptDir + f.script + ".lua")
	require.NoError(r.t, err)
	name := sha1.Sum(text) //nolint:gosec // Redis names scripts by it
	var wires []*wire
	for _, x := range r.crew {
		wires = append(wires, x.redis.loseAnswer([]byte(hex.EncodeToString(name[:]))))
	}
	r.awaitWithJobs(func() bool { return slices.ContainsFunc(wires, (*wire).tripped) },
		script("sleep 50ms"), "succeeded", "an answer to %s was lost", f.script)
}

func (*answerLost) Heal(r *rig) {
	for _, x := range r.crew {
		x.redis.mend()
	}
}
