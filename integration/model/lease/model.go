package lease

import "curfew/integration/model/search"

// Search walks one configuration.
func Search(c Config, limits search.Limits) search.Result {
	return search.Run(search.Model[state]{
		Start:  canonical(state{left: c.Faults}),
		Next:   c.next,
		Broken: func(s *state) string { return promises[s.broken] },
	}, limits)
}
