package search

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counter goes from 0 to 9 by ones; what is true of its states is up to each case.
func counter(change func(*Model[int])) Model[int] {
	m := Model[int]{
		Next: func(s int, emit Emit[int]) {
			if s < 9 {
				emit(Protocol, s+1, "to %d", s+1)
			}
		},
		Broken: func(*int) string { return "" },
	}
	change(&m)
	return m
}

func TestRun(t *testing.T) {
	t.Parallel()
	limits := Limits{States: 1000, Time: time.Minute}
	all := Run(counter(func(*Model[int]) {}), limits)
	require.Equal(t, 10, all.States)
	require.Empty(t, all.Broken+all.Stopped)

	broken := Run(counter(func(m *Model[int]) {
		m.Broken = func(s *int) string {
			if *s == 3 {
				return "three"
			}
			return ""
		}
	}), limits)
	require.Equal(t, "three", broken.Broken)
	require.Equal(t, []string{"to 1", "to 2", "to 3"}, broken.Trace)

	settles := func(at int) func(*Model[int]) {
		return func(m *Model[int]) {
			m.Settled = func(s *int) bool { return *s == at }
			m.Stranded = func(*int) string { return "stranded" }
		}
	}
	require.Empty(t, Run(counter(settles(9)), limits).Broken)
	require.Equal(t, "stranded", Run(counter(settles(8)), limits).Broken, "9 is a dead end")

	round := Run(counter(func(m *Model[int]) {
		settles(5)(m)
		m.Next = func(s int, emit Emit[int]) { // 1 and 2 go round for ever
			emit(Protocol, 3-max(s, 1), "round")
			emit(Outside, 5, "help")
		}
	}), limits)
	require.Equal(t, "stranded", round.Broken, "nobody may count on help from outside")

	require.NotEmpty(t, Run(counter(func(*Model[int]) {}), Limits{States: 5, Time: time.Minute}).Stopped)
	require.NotEmpty(t, Run(counter(func(*Model[int]) {}), Limits{States: 1000}).Stopped)
}
