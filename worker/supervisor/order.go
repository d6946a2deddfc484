package supervisor

import "errors"

// Order is what the supervisor makes of the signals it gets.
type Order int

// The orders, in the sequence in which they come.
const (
	// OrderDrain: take no new work, let what is live go on for a while.
	OrderDrain Order = iota + 1
	// OrderHandBack: stop what is live and hand it back, now.
	OrderHandBack
)

// String names the order for logs.
func (o Order) String() string {
	switch o {
	case OrderDrain:
		return "drain"
	case OrderHandBack:
		return "hand back"
	}
	return "unknown order"
}

var (
	// ErrGone is every call's answer once the supervisor has gone. Nothing may
	// be started then: see Client.Guard.
	ErrGone = errors.New("the supervisor of this worker is gone")
	// ErrNotASupervisor means that CURFEW_SUPERVISOR_FD is set and names
	// nothing that a supervisor has made: it was copied from somewhere. Unset it.
	ErrNotASupervisor = errors.New("CURFEW_SUPERVISOR_FD does not name a supervisor's socket: unset it")
)
