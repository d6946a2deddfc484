package worker

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"curfew/queue"
)

// heldHint is a delivery that this worker holds: extended in time until it is
// settled once, or forgotten because the lease was lost. Extending is a
// courtesy: it keeps other workers from asking for nothing. The lease is the truth.
type heldHint struct {
	*queue.Hint
	log *logrus.Entry

	mu      sync.Mutex
	settled bool
	extend  *time.Timer
}

func (w *Worker) hold(h *queue.Hint) *heldHint {
	held := &heldHint{Hint: h, log: w.log.WithField("session", h.Session).WithField("seq", h.Seq)}
	every := w.cfg.AckWait / 3
	held.mu.Lock()
	defer held.mu.Unlock()
	held.extend = time.AfterFunc(every, func() {
		held.mu.Lock()
		defer held.mu.Unlock()
		if held.settled {
			return
		}
		if err := held.InProgress(); err != nil {
			held.log.WithError(err).Debug("extending a delivery failed")
		}
		held.extend.Reset(every)
	})
	return held
}

// open says that the hint was neither settled nor forgotten.
func (h *heldHint) open() bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.settled
}

func (h *heldHint) ack() { h.settle("acknowledging", func() error { return h.Ack() }) }

func (h *heldHint) nak(delay time.Duration) {
	h.settle("handing back", func() error { return h.Nak(max(delay, 0)) })
}

// forget stops extending and sends nothing: what the stream does with the
// delivery is no longer this worker's business.
func (h *heldHint) forget() { h.settle("forgetting", func() error { return nil }) }

func (h *heldHint) settle(what string, send func() error) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settled {
		return
	}
	h.settled = true
	h.extend.Stop()
	if err := send(); err != nil {
		h.log.WithError(err).Warn(what + " a delivery failed; it comes again after the acknowledgement time")
	}
}
