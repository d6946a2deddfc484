package worker

import (
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
)

// tally is an Observer that counts under names.
type tally struct {
	mu sync.Mutex
	n  map[string]float64
}

func newTally() *tally { return &tally{n: map[string]float64{}} }

func (c *tally) add(n float64, what ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[strings.Join(what, " ")] += n
}

func (c *tally) of(what ...string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[strings.Join(what, " ")]
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(maps.Clone(c.n))
}

func (c *tally) JobEnded(agent string, o Outcome) { c.add(1, "job", string(o), agent) }
func (c *tally) JobStarted(d time.Duration) {
	c.add(1, "waits")
	c.add(d.Seconds(), "waited")
}

func (c *tally) RunEnded(agent string, o Outcome, d time.Duration) {
	c.add(1, "run", string(o), agent)
	c.add(d.Seconds(), "ran")
}
func (c *tally) Spent(agent string, usd float64) { c.add(usd, "spent", agent) }
func (c *tally) LeaseLost()                      { c.add(1, "lost") }
func (c *tally) Leftovers(n int)                 { c.add(float64(n), "leftovers") }
func (c *tally) LeftoversRemain(n int)           { c.add(float64(n), "remain") }
func (c *tally) OutputDropped(n int)             { c.add(float64(n), "dropped") }
func (c *tally) SessionSwept()                   { c.add(1, "swept") }
func (c *tally) JobsPurged(n uint64)             { c.add(float64(n), "purged") }
func (c *tally) JobsRoused(n uint64)             { c.add(float64(n), "roused") }
func (c *tally) WorkFoldersRemoved(n int)        { c.add(float64(n), "folders") }

// reaches waits until so much was counted, and not more.
func (c *tally) reaches(t *testing.T, want float64, what ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return c.of(what...) >= want }, 60*time.Second, 10*time.Millisecond, "%v: %v", what, c)
	require.InDelta(t, want, c.of(what...), 0, "%v: %v", what, c)
}

func (c *tally) watch(conf *Config) { conf.Observer = c }

func TestObserverIsToldHowJobsEnd(t *testing.T) {
	t.Parallel()
	seen := newTally()
	w := newBench(t).worker(seen.watch)
	first := newSession()
	w.publish(t, queue.NewJob{Session: first, Body: []byte("sleep 30ms say ok")})
	w.publish(t, queue.NewJob{Session: first, Body: []byte("kill 15")})
	w.publish(t, queue.NewJob{Session: first, Agent: "another"})
	failing := newSession()
	w.publish(t, queue.NewJob{Session: failing, Body: []byte("exit 1")})
	stray := w.q.Conn().Publish("curfew.jobs.nowhere", []byte("x"))
	require.NoError(t, stray)
	w.finals(t, first, 3)
	w.finals(t, failing, 1)
	seen.reaches(t, 1, "job succeeded default")
	seen.reaches(t, 1, "job terminated default")
	seen.reaches(t, 1, "job invalid another")
	seen.reaches(t, 1, "job crashed default")
	seen.reaches(t, 1, "job invalid ")
	seen.reaches(t, 5, "run crashed default")
	seen.reaches(t, 3, "waits") // a repeated attempt is no new wait
	require.GreaterOrEqual(t, seen.of("ran"), 0.03)
	require.Greater(t, seen.of("waited"), 0.0)
	require.Eventually(t, func() bool { busy, _ := w.Slots(); return busy == 0 }, 60*time.Second, 10*time.Millisecond)
}

func TestObserverIsToldOfSlots(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	session := newSession()
	w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 1m")})
	w.running(t, session)
	busy, all := w.Slots()
	require.Equal(t, 1, busy)
	require.Equal(t, 4, all)
	require.Equal(t, 1, w.Live())
}

// A replaced, a rejected and a cancelled job never ran, and count all the same.
func TestObserverIsToldOfJobsWithoutARun(t *testing.T) {
	t.Parallel()
	seen := newTally()
	w := newBench(t).worker(func(c *Config) { seen.watch(c); c.Concurrency = 1 })
	blocker, session, both, gate := newSession(), newSession(), newSession(), t.TempDir()+"/gate"
	w.publish(t, queue.NewJob{Session: blocker, Body: []byte("await " + gate)})
	w.running(t, blocker)
	w.publish(t, queue.NewJob{Session: session})
	w.publish(t, queue.NewJob{Session: session, Conflict: queue.ConflictReplace, Body: []byte("say new")})
	openGate(t, gate)
	w.finals(t, session, 2)
	seen.reaches(t, 1, "job replaced default")
	w.publish(t, queue.NewJob{Session: both, Body: []byte("sleep 1m")})
	w.running(t, both)
	w.publish(t, queue.NewJob{Session: both, Conflict: queue.ConflictReject})
	seen.reaches(t, 1, "job rejected default")
	w.publish(t, queue.NewJob{Session: both, Body: []byte("say later")})
	_, err := w.records.Cancel(t.Context(), both, "")
	require.NoError(t, err)
	require.NoError(t, w.q.Nudge(both))
	w.finals(t, both, 3)
	seen.reaches(t, 2, "job cancelled default") // the live one and the waiting one
	seen.reaches(t, 1, "purged")
	require.Zero(t, seen.of("swept"), "that was its holder")
}

func TestObserverIsToldOfTheSweeper(t *testing.T) {
	t.Parallel()
	seen := newTally()
	w := busyWorker(t, "1m", func(c *Config) {
		seen.watch(c)
		c.SweepEvery = 300 * time.Millisecond
	})
	session := newSession()
	for range 3 {
		w.publish(t, queue.NewJob{Session: session, CreatedAt: time.Now().Add(-5 * time.Hour)})
	}
	young := newSession()
	w.publish(t, queue.NewJob{Session: young})
	// The sweeper looks at what waits for longer than a session may live: not yet these. A record makes them its business.
	_, err := w.records.Update(t.Context(), registry.Snapshot{Session: session}, registry.Record{
		CreatedAt: time.Now().Add(-5 * time.Hour), MaxAgeMS: (4 * time.Hour).Milliseconds(),
	})
	require.NoError(t, err)
	w.finals(t, session, 3)
	seen.reaches(t, 1, "swept")
	seen.reaches(t, 3, "purged")
	seen.reaches(t, 3, "job expired default")
}

func TestObserverIsToldOfALostLease(t *testing.T) {
	t.Parallel()
	seen := newTally()
	b := newBench(t)
	w := b.worker(func(c *Config) { seen.watch(c); c.Agents["default"].Grace = time.Minute })
	session := newSession()
	w.publish(t, queue.NewJob{Session: session, Body: []byte("deaf sleep 1m")})
	w.running(t, session)
	require.Zero(t, seen.of("lost"))
	b.redis.Close()
	seen.reaches(t, 1, "run lost default")
	seen.reaches(t, 1, "lost")
	require.Zero(t, seen.of("job lost default"), "its job is not over")
	require.NoError(t, b.redis.Restart())
}

func TestObserverIsToldOfSpend(t *testing.T) {
	t.Parallel()
	seen := newTally()
	w := newBench(t).worker(func(c *Config) {
		seen.watch(c)
		c.reader = func(a *agent.Agent) agent.Reader { return priced{a.Reader()} }
	})
	session := newSession()
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("say 0.25")})
	w.publish(t, queue.NewJob{Session: session, Body: []byte("say 0.5 exit 143")})
	require.InDelta(t, 0.25, w.finals(t, session, 2)[seq].Usage.CostUSD, 0)
	seen.reaches(t, 0.75, "spent default")
}

// priced takes an agent's answer for what it cost.
type priced struct{ agent.Reader }

func (p priced) Verdict() agent.Verdict {
	v := p.Reader.Verdict()
	v.CostUSD, _ = strconv.ParseFloat(v.Result, 64)
	return v
}

// Nothing takes the output while NATS is away; the run does not mind.
func TestObserverIsToldOfDroppedOutput(t *testing.T) {
	t.Parallel()
	seen := newTally()
	b := newBench(t)
	w := b.worker(seen.watch)
	session, gate := newSession(), t.TempDir()+"/gate"
	seq := w.publish(t, queue.NewJob{Session: session, Body: []byte("await " + gate + " flood 40000000")})
	w.running(t, session)
	address, err := url.Parse(b.nats.ClientURL())
	require.NoError(t, err)
	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	b.nats.Shutdown()
	b.nats.WaitForShutdown()
	openGate(t, gate)
	require.Eventually(t, func() bool { return seen.of("dropped") > 1<<20 }, 60*time.Second, 10*time.Millisecond)
	again, err := natsd.NewServer(&natsd.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: b.store, NoLog: true, NoSigs: true, MaxPayload: 8 << 20})
	require.NoError(t, err)
	again.Start()
	t.Cleanup(func() { again.Shutdown(); again.WaitForShutdown() })
	require.Equal(t, string(Succeeded), w.finals(t, session, 1)[seq].Outcome)
}
