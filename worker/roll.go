package worker

import (
	"encoding/json"
	"os"
	"time"
)

// State is what a worker does with new jobs.
type State string

// The states of a worker.
const (
	StatePulling  State = "pulling"
	StateDraining State = "draining"
	StateHalted   State = "halted"
	StateRefusing State = "refusing" // its agents are misconfigured
	StateAway     State = "away"     // it cannot pull for now
)

// Presence is what a worker answers to a roll call.
type Presence struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started_at"`
	State   State     `json:"state"`
	Reason  string    `json:"reason,omitempty"` // why it is not pulling
	Live    int       `json:"live"`             // subprocesses
	Slots   int       `json:"slots"`            // of which so many may be alive
	Agents  []string  `json:"agents"`
	// Halt is the revision of the halt that it knows, HaltStopped the number of
	// runs that it stopped for it.
	Halt        uint64 `json:"halt_revision,omitempty"`
	HaltStopped int    `json:"halt_stopped,omitempty"`
}

// Presence answers a roll call.
func (w *Worker) Presence() Presence {
	p := Presence{
		ID: w.cfg.ID, Host: w.cfg.Host, PID: os.Getpid(), Version: w.cfg.Version, Started: w.started.UTC(),
		State: StatePulling, Slots: w.cfg.Concurrency, Agents: w.AgentNames(),
	}
	halt := w.brake.state() // before the runs are counted: what starts later has heeded it
	p.Live = int(w.opening.Load()) + w.table.Count()
	p.Halt = halt.Revision
	if halt.On {
		p.HaltStopped = w.brake.stoppedHere()
	}
	why := w.Ready()
	if why == nil {
		return p
	}
	p.Reason = why.Error()
	switch {
	case w.isDraining():
		p.State = StateDraining
	case w.refusal.Load() != nil:
		p.State = StateRefusing
	case halt.On:
		p.State = StateHalted
	default:
		p.State = StateAway
	}
	return p
}

func (w *Worker) answerRoll() ([]byte, error) { return json.Marshal(w.Presence()) }
