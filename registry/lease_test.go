package registry

import (
	"testing"
	"time"
)

// brief is for tests in which leases run out, steady for those in which none may.
var (
	brief  = Terms{TTL: time.Second, Renew: 200 * time.Millisecond, Margin: 200 * time.Millisecond}
	steady = Terms{TTL: 20 * time.Second, Renew: 250 * time.Millisecond, Margin: time.Second}
)

func TestLease(t *testing.T) {
	t.Parallel()
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			exerciseLease(t, b)
		})
	}
}

// exerciseLease is what every kind of Redis must do. Tests of one session share
// a server; those that harm the server have their own.
func exerciseLease(t *testing.T, b backend) {
	t.Helper()
	shared := b.start(t)
	for name, f := range map[string]func(*testing.T, *server){
		"acquire own token again":                 acquireOwnAgain,
		"acquire held, knock, look again, force":  acquireHeld,
		"acquire unclean until, lock evicted":     acquireUncleanUntil,
		"acquire unclean, until set back in time": acquireClockSetBack,
		"acquire unclean, unknown lease":          acquireMissing,
		"acquire missing since another run id":    acquireMissingRunID,
		"acquire known crashed lease":             acquireCrashed,
		"acquire lease of an earlier run id":      acquireEarlierRunID,
		"acquire after release":                   acquireReleased,
		"acquire under a used token":              acquireUsed,
		"renew ours":                              renewOurs,
		"renew after the lock was deleted":        renewDeleted,
		"renew after release":                     renewReleased,
		"renew another's":                         renewAnothers,
		"renew another's with the run open":       renewAnothersRunOpen,
		"renew another's until the trust ends":    renewAnothersTrustEnds,
		"renew a lock of an earlier run id":       renewEarlierRunID,
		"renew answered after the trust ended":    answerAfterTrust,
		"renew trusted from its start":            renewedFromStart,
		"release a foreign token":                 releaseForeign,
		"release waits for the renewal under way": releaseWaits,
		"release twice":                           releaseTwice,
		"lowered knock":                           lowerKnock,
		"duty":                                    duty,
		"one holder at a time":                    oneHolder,
		"many leases in one round":                manyLeases,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, shared)
		})
	}
	for name, own := range map[string]struct {
		f     func(*testing.T, *server)
		needs ability
	}{
		"unknown scripts in the pipeline":       {renewNoScript, 0},
		"flush with a live holder":              {flushLive, 0},
		"flush with a holder cut off":           {flushCutOff, 0},
		"restart with a live holder":            {restartLive, restarts},
		"restart with a holder cut off":         {restartCutOff, restarts},
		"acquire whose answer is lost":          {acquireReplyLost, proxied},
		"release whose answer is lost":          {releaseReplyLost, proxied},
		"release whose answer is lost, knocked": {releaseReplyLostKnocked, proxied},
		"release that never arrives":            {releaseUnanswered, proxied},
		"renewals that never arrive":            {lossAtTrustEnd, proxied},
		"renewals that arrive again":            {outageShorterThanTrust, proxied},
		"acquire without an answer":             {acquireUnavailable, 0},
		"writes refused":                        {writesRefused, refuses},
	} {
		if b.can&own.needs != own.needs {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own.f(t, b.start(t))
		})
	}
}
