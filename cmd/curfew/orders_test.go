package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A session whose jobs wait and that no worker has taken up yet is not the same as one that nobody knows.
func TestOrdersForASessionThatNobodyTookUp(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, demoAgents)
	require.Equal(t, 0, p.run(t, "setup").code)
	waits, unknown := newSession(), newSession()
	p.publish(t, waits, "hello")
	for _, order := range [][]string{{"stop"}, {"extend", "1h"}} {
		line := func(session string) []string { return append([]string{order[0], session}, order[1:]...) }
		r := p.run(t, line(waits)...)
		require.Equal(t, 1, r.code, r.err)
		require.Contains(t, r.err, "no worker has taken it up yet")
		r = p.run(t, line(unknown)...)
		require.Equal(t, 3, r.code, r.err)
		require.Contains(t, r.err, "no such session")
	}
	require.Equal(t, 0, p.run(t, "cancel", waits).code)
	require.Equal(t, 1, p.run(t, "extend", waits, "1h").code, "a cancelled one stays cancelled")
}
