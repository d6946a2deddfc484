package jobs

import "curfew/integration/model/search"

// Search walks one configuration.
func Search(c Config, limits search.Limits) search.Result {
	return search.Run(search.Model[state]{
		Start:    c.canonical(state{rec: record{rev: 1}, left: c.Faults}),
		Next:     c.next,
		Broken:   func(s *state) string { return promises[s.broken] },
		Settled:  c.settled,
		Stranded: c.stranded,
	}, limits)
}
