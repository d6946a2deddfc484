package worker

import (
	"errors"
	"fmt"
)

// Intent is why this worker asked a run to stop: the cause of its
// cancellation. It belongs to one run; the first one recorded counts.
type Intent string

// The intents. IntentNone is a run that nobody asked to stop.
const (
	IntentNone      Intent = ""
	IntentExpired   Intent = "expired"
	IntentCancelled Intent = "cancelled"
	IntentStopped   Intent = "stopped"
	IntentReplaced  Intent = "replaced"
	IntentTimeout   Intent = "timeout"
	IntentIdle      Intent = "idle"
	IntentBudget    Intent = "budget"
	IntentLost      Intent = "lease lost"
	IntentDraining  Intent = "draining"
	IntentHalted    Intent = "halted"
)

// Error makes an intent the cause of a cancellation.
func (i Intent) Error() string { return "stopped: " + string(i) }

// stopCause is an intent with the words that an order or a limit adds to it.
type stopCause struct {
	intent Intent
	reason string
}

func (c stopCause) Error() string { return fmt.Sprintf("%s (%s)", c.intent.Error(), c.reason) }
func (c stopCause) Unwrap() error { return c.intent }

// because gives an intent its reason; "" leaves it bare.
func because(i Intent, reason string) error {
	if reason == "" {
		return i
	}
	return stopCause{intent: i, reason: reason}
}

// intentOf reads the intent and its reason back from a cause.
func intentOf(cause error) (Intent, string) {
	var c stopCause
	if errors.As(cause, &c) {
		return c.intent, c.reason
	}
	var i Intent
	if errors.As(cause, &i) {
		return i, ""
	}
	return IntentNone, ""
}
