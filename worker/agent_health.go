package worker

import "sync"

// agentHealth counts, for each agent, the runs in a row that ended as
// misconfigured. Such a worker would bury one job after the other for a program
// that is not there.
type agentHealth struct {
	mu    sync.Mutex
	inRow map[string]int
}

func newAgentHealth() *agentHealth { return &agentHealth{inRow: map[string]int{}} }

// note counts the outcome of a run and answers how many runs of the agent in a
// row were misconfigured. A run that nobody started says nothing of the agent.
func (h *agentHealth) note(agent string, o Outcome) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch o {
	case Misconfigured:
		h.inRow[agent]++
	case HandedBack, Lost:
	default:
		h.inRow[agent] = 0
	}
	return h.inRow[agent]
}
