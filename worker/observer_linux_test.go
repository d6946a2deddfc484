package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"curfew/queue"
)

func TestObserverIsToldOfLeftovers(t *testing.T) {
	t.Parallel()
	seen := newTally()
	w := newBench(t).worker(seen.watch)
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("abandon 2")})
	require.Equal(t, string(Succeeded), w.finals(t, session, 1)[seq].Outcome)
	seen.reaches(t, 2, "leftovers")
	require.Zero(t, seen.of("remain"))
}
