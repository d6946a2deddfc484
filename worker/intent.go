package worker

import (
	"errors"
	"fmt"
)

// Intent is why this worker asked a run to stop. It belongs to one run; the
// first one recorded counts.
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

// StopError is the cause of a cancellation: an intent, with the words that an
// order or a limit adds to it.
type StopError struct {
	Intent Intent
	Reason string // may be empty
}

func (e *StopError) Error() string {
	if e.Reason == "" {
		return "stopped: " + string(e.Intent)
	}
	return fmt.Sprintf("stopped: %s (%s)", e.Intent, e.Reason)
}

// errLost is the cause of everything that ends because the lease is lost.
var errLost = because(IntentLost, "")

func because(i Intent, reason string) error { return &StopError{Intent: i, Reason: reason} }

// intentOf reads the intent and its reason back from a cause.
func intentOf(cause error) (Intent, string) {
	if e, ok := errors.AsType[*StopError](cause); ok {
		return e.Intent, e.Reason
	}
	return IntentNone, ""
}
