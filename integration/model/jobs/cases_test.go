package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/integration/model/search"
)

// TestShortCases: the protocol keeps its promises where little goes wrong, and a rule that is missing is missed. All other cases
// take minutes: make model.
func TestShortCases(t *testing.T) {
	t.Parallel()
	for _, c := range Cases() {
		if !c.Short {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r := Search(c.Config(), search.Limits{States: 200_000, Time: 10 * time.Minute})
			require.Empty(t, r.Stopped)
			require.Equal(t, c.Broken, r.Broken, "after %d states:\n%s", r.States, strings.Join(r.Trace, "\n"))
		})
	}
}

func TestCasesAreTold(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range Cases() {
		require.False(t, seen[c.Name], "%s is there twice", c.Name)
		seen[c.Name] = true
		require.Equal(t, c.Broken != "", c.Why != "", "%s: a counterexample is expected where a rule is missing, and it says what for", c.Name)
	}
}
