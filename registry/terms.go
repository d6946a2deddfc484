package registry

import (
	"fmt"
	"time"
)

// Terms are what every worker of a namespace must agree on, so that one can
// tell from its own clock when another has stopped trusting its lease. Renew
// alone may differ from worker to worker.
type Terms struct {
	TTL    time.Duration // a lease lives this long after its last renewal
	Renew  time.Duration // every lease is renewed this often
	Margin time.Duration // a holder stops trusting its lease this long before it ends
}

// DefaultTerms are 15 s, 5 s and 2 s.
func DefaultTerms() Terms {
	return Terms{TTL: 15 * time.Second, Renew: 5 * time.Second, Margin: 2 * time.Second}
}

// Trust is how long a lease is trusted after the start of its last good renewal.
func (t Terms) Trust() time.Duration {
	if planted(bugTrust) {
		return t.TTL + time.Second
	}
	return t.TTL - t.Margin
}

// minTTL keeps every derived bound above the resolution of Redis' clock (1 ms).
const minTTL = 100 * time.Millisecond

// Validate answers what is wrong with the terms and which value would do.
func (t Terms) Validate() error {
	switch {
	case t.TTL < minTTL:
		return fmt.Errorf("lease ttl %s is too short: at least %s", t.TTL, minTTL)
	case t.Margin <= 0 || t.Margin >= t.TTL:
		return fmt.Errorf("lease margin %s must lie above 0s and below the ttl %s", t.Margin, t.TTL)
	case t.Renew <= 0 || 2*t.Renew > t.Trust():
		return fmt.Errorf("lease renew %s must lie above 0s and at most half of ttl - margin (%s), so that one renewal may fail", t.Renew, t.Trust()/2)
	}
	return nil
}

// attempt bounds one request: short enough that several fit into a trust window.
func (t Terms) attempt() time.Duration {
	return min(max(t.Trust()/4, 250*time.Millisecond), 2*time.Second)
}

const (
	askAgainPace = 75 * time.Millisecond  // between two renewals of a lease that another seems to hold
	minRetryPace = 50 * time.Millisecond  // between two renewals while Redis does not answer,
	maxRetryPace = 500 * time.Millisecond // a tenth of Renew within these bounds
)

func (t Terms) retryPace() time.Duration {
	return min(max(t.Renew/10, minRetryPace), maxRetryPace)
}
