package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCutOffTakesNothing: a worker that cannot reach Redis does not go on asking for jobs that the others could run. It gives
// back what it has asked for, once for each of its slots, and takes jobs again when Redis is back.
func TestCutOffTakesNothing(t *testing.T) {
	t.Parallel()
	share(t)
	const slots, jobs = 2, 30
	w := newWorld(t, sharedStack(t))
	lonely := w.linked("lonely", workerOptions{args: []string{"--concurrency", "2"}})
	w.worker("w2")
	lonely.redis.cut()
	refused := func() int { return strings.Count(lonely.output(), "this slot rests") }
	for range jobs { // as many as it takes until it asks for none
		w.untilFinal(w.publish(newSession(), "job"))
	}
	w.until(patience, func() bool {
		if refused() < slots {
			w.publish(newSession(), "one more")
			w.hold(100 * time.Millisecond)
		}
		return refused() >= slots
	}, "each slot has met Redis' absence")
	for range jobs {
		w.untilFinal(w.publish(newSession(), "job"))
	}
	require.Equal(t, slots, refused(), "a slot took another job although Redis was away")
	lonely.redis.mend()
	w.until(patience, func() bool {
		j := w.publish(newSession(), "job")
		w.untilFinal(j)
		return w.runsOf(j)[0].Worker == lonely.id
	}, "the worker takes jobs again")
	w.finish()
}
