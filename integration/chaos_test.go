package integration

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	chaosFor  = flag.Duration("chaos", 12*time.Second, "how long TestChaos disturbs")
	chaosSeed = flag.Uint64("chaos.seed", 0, "which disturbances TestChaos chooses; 0: others each time")
)

// TestChaos: everything at once. Workers are killed and drained, servers are killed, Redis forgets, while jobs come and run;
// then it is quiet, and all promises must have held.
func TestChaos(t *testing.T) {
	t.Parallel()
	alone(t)
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("the same disturbances again: -chaos.seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))

	w := newWorld(t, ownStack(t, realRedis), func(c *config) { c.Worker.DrainTimeout = "300ms" })
	crew := &crew{w: w}
	for range 4 {
		crew.hire()
	}
	var producers sync.WaitGroup
	quiet := make(chan struct{})
	failed := make(chan error, 100)
	for range 16 {
		pace := time.Duration(250+dice.IntN(400)) * time.Millisecond // slower than a session works, so that none piles up
		producers.Go(func() {
			session := newSession()
			for {
				work := fmt.Sprintf("sleep %dms", rand.IntN(200))
				// Three workers may die under one job, which buries it.
				if err := w.send(w.job(session, script("term-exit 1 20ms", work), repeatable(), wants("succeeded", "crashed"))); err != nil {
					failed <- err
					return
				}
				select {
				case <-quiet:
					return
				case <-time.After(pace):
				}
			}
		})
	}
	disturbances := []struct {
		name string
		do   func()
	}{
		{"kill a worker", func() { crew.dismiss(dice, (*worker).kill9) }},
		{"kill a supervisor", func() { crew.dismiss(dice, func(x *worker) { x.signal(killSignal) }) }},
		{"drain a worker", func() { crew.dismiss(dice, func(x *worker) { x.signal(termSignal) }) }},
		{"flush Redis", func() { require.NoError(t, w.stack.redis.flush(t.Context())) }},
		{"restart Redis", func() { w.stack.redis.kill(); require.NoError(t, w.stack.redis.start()) }},
		{"restart NATS", func() { w.stack.nats.kill(); require.NoError(t, w.stack.nats.start()) }},
	}
	counts := map[string]int{}
	for end := time.Now().Add(*chaosFor); time.Now().Before(end); {
		d := disturbances[dice.IntN(len(disturbances))]
		counts[d.name]++
		d.do()
		<-time.After(time.Duration(200+dice.IntN(800)) * time.Millisecond)
	}
	close(quiet)
	producers.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	w.finish()
	t.Logf("%d jobs, %d runs, %v", len(w.jobs), len(w.runs()), counts)
}

// crew is a number of workers that stays the same.
type crew struct {
	w       *world
	present []*worker
	hired   int
}

func (c *crew) hire() {
	c.hired++
	c.present = append(c.present, c.w.worker(fmt.Sprint("w", c.hired)))
}

// dismiss ends one by a signal and puts another in its place.
func (c *crew) dismiss(dice *rand.Rand, how func(*worker)) {
	c.w.t.Helper()
	i := dice.IntN(len(c.present))
	gone := c.present[i]
	c.present = append(c.present[:i], c.present[i+1:]...)
	how(gone)
	_, ended := gone.wait(patience)
	require.True(c.w.t, ended, "worker %s did not end", gone.name)
	c.hire()
}
