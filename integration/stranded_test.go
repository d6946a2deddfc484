package integration

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// TestNobodyIsStranded: a job that arrives while its session is being left is noticed by whoever leaves, and does not wait
// for the delay of the worker that was refused. Each session's next job is published the moment its last one has ended,
// which is when its holder looks for the last time and leaves.
func TestNobodyIsStranded(t *testing.T) {
	t.Parallel()
	alone(t)
	const (
		sessions, each = 24, 100
		delay          = 30 * time.Second // of a refused worker
		bound          = 20 * time.Second
	)
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) {
		c.Queue.BusyDelay, c.Queue.AckWait, c.Log.Level = delay.String(), delay.String(), "info"
		c.Agents = map[string]agentConfig{"default": {Command: []string{"/bin/true"}, Grace: "1s"}}
	})
	for _, name := range []string{"w1", "w2", "w3"} {
		w.worker(name, workerOptions{args: []string{"--concurrency", "12"}})
	}
	ended := make(chan event, sessions*each)
	w.onFinal(func(e event) { ended <- e })
	published := map[string]time.Time{} // session -> when its newest job was
	count := map[string]int{}
	next := func(session string) {
		count[session]++
		published[session] = time.Now()
		_, err := w.js.PublishMsgAsync(&nats.Msg{Subject: w.jobSubject(session)}, jetstream.WithStallWait(patience))
		require.NoError(t, err)
	}
	for range sessions {
		next(newSession())
	}
	for done := range sessions * each {
		var e event
		select {
		case e = <-ended:
		case <-time.After(bound):
			require.FailNow(t, "a job is stranded", "%d of %d ended, then none for %s", done, sessions*each, bound)
		}
		require.Equal(t, "succeeded", e.Outcome)
		require.Less(t, time.Since(published[e.Session]), bound, "a job of session %s was stranded", e.Session)
		if count[e.Session] < each {
			if late := rand.IntN(3); late > 0 {
				<-time.After(time.Duration(rand.IntN(late * int(time.Millisecond))))
			}
			next(e.Session)
		}
	}
	w.until(patience, func() bool { return w.rest().clean() }, "nothing is left")
	w.stopAll()
	require.Empty(t, logsClean(w.history()))
}
