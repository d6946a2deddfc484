package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
)

const (
	// opTimeout bounds one request to the stream or the records.
	opTimeout = 5 * time.Second
	// lastWords is how long, after its runs were told to stop and their grace
	// is over, a worker tries to write down how they ended.
	lastWords = 15 * time.Second
	// misconfiguredLimit is how many runs of one agent may end as misconfigured
	// in a row before the worker takes no more jobs.
	misconfiguredLimit = 3
)

// errWorkerEnds is the cause by which a worker gives up unfinished requests.
var errWorkerEnds = errors.New("the worker ends")

// Worker pulls hints, adopts their sessions and runs their jobs. Its methods may
// be called from any goroutine; Run once only.
type Worker struct {
	cfg     Config
	q       *queue.Queue
	leases  *registry.Leases
	records *registry.Records
	table   *registry.Table
	log     *logrus.Entry
	ears    *ears
	temps   *temps
	agents  *agentHealth
	brake   *brake
	observe Observer
	started time.Time

	opening   atomic.Int32  // runs that may be about to start, beside those in the table
	slots     chan struct{} // holds one value for each adoption under way, and one for the next to come
	busy      atomic.Int32  // adoptions under way
	adoptions sync.WaitGroup

	// draining is closed by the first Drain: stop taking.
	draining  chan struct{}
	drainOnce sync.Once
	drainAt   atomic.Pointer[time.Time]
	// stopRuns is closed by HandBack, or when the drain timeout is over: stop working.
	stopRuns  chan struct{}
	stopsOnce sync.Once

	hints   atomic.Pointer[queue.Hints]
	refusal atomic.Pointer[string] // why this worker takes no jobs, where it does not
}

// New makes a worker. The streams must have been declared; the leases' renewal
// loop is started by Run.
func New(c Config, q *queue.Queue, l *registry.Leases, r *registry.Records, log *logrus.Entry) (*Worker, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configure the worker: %w", err)
	}
	if err := c.reachable(c.Data); err != nil {
		return nil, err
	}
	if c.Observer == nil {
		c.Observer = Unobserved{}
	}
	return &Worker{
		cfg: c, q: q, leases: l, records: r,
		observe:  c.Observer,
		table:    registry.NewTable(),
		log:      log.WithField("worker", c.ID),
		ears:     newEars(),
		temps:    newTemps(c.Temp),
		agents:   newAgentHealth(),
		brake:    newBrake(),
		started:  time.Now(),
		slots:    make(chan struct{}, c.Concurrency),
		draining: make(chan struct{}),
		stopRuns: make(chan struct{}),
	}, nil
}

// Run takes and runs jobs until the worker is drained, and returns nil then.
// The end of ctx is a HandBack. It returns early only when it cannot pull.
func (w *Worker) Run(ctx context.Context) error {
	working, stopWorking := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopWorking(errWorkerEnds)

	hints, err := w.q.Hints(working)
	if err != nil {
		return fmt.Errorf("start to pull jobs: %w", err)
	}
	w.hints.Store(hints)
	stopNudges, err := w.q.Nudges(w.ears.nudge)
	if err != nil {
		return fmt.Errorf("listen for orders: %w", err)
	}
	defer stopNudges()
	braked := make(chan struct{}, 1) // sent by the queue's subscription
	stopBraking, err := w.q.FleetNudges(func() { poke(braked) })
	if err != nil {
		return fmt.Errorf("listen for a halt: %w", err)
	}
	defer stopBraking()
	stopAnswering, err := w.q.AnswerRoll(w.answerRoll)
	if err != nil {
		return fmt.Errorf("listen for roll calls: %w", err)
	}
	defer stopAnswering()
	defer context.AfterFunc(ctx, w.HandBack)()

	var background sync.WaitGroup
	background.Go(func() { _ = w.leases.Run(working) })
	background.Go(func() { w.sweepRounds(working) })
	background.Go(func() { w.giveUpInTime(working, stopWorking) })
	background.Go(func() { w.mindBrake(working, braked) })
	background.Go(func() {
		w.sweepTemps()
		w.tidyRounds(working)
	})
	defer w.tidyUp()
	defer background.Wait()
	defer stopWorking(errWorkerEnds)

	// A drain that began before Run had hints to drain is made up for here.
	select {
	case <-w.draining:
		hints.Drain()
	default:
	}
	if w.firstLookAtBrake(working) {
		w.log.WithField("concurrency", w.cfg.Concurrency).Info("worker ready")
	}
	w.take(working, hints)
	w.adoptions.Wait()
	w.log.Info("worker drained")
	return nil
}

// giveUpInTime ends what still waits for an unreachable server when the runs
// were stopped and their grace is over.
func (w *Worker) giveUpInTime(working context.Context, stopWorking context.CancelCauseFunc) {
	select {
	case <-working.Done():
		return
	case <-w.stopRuns:
	}
	grace := time.Duration(0)
	for _, a := range w.cfg.Agents {
		grace = max(grace, a.Grace)
	}
	t := time.NewTimer(grace + lastWords)
	defer t.Stop()
	select {
	case <-working.Done():
	case <-t.C:
		w.log.Error("giving up on what could not be written down; leases run out by themselves and other workers take over")
		stopWorking(errWorkerEnds)
	}
}

// Drain stops taking jobs. Live runs go on for the drain timeout, then they are
// stopped and their jobs become what on_drain says. Calling it again changes nothing.
func (w *Worker) Drain() {
	w.drainOnce.Do(func() {
		now := time.Now()
		w.drainAt.Store(&now)
		close(w.draining)
		if h := w.hints.Load(); h != nil {
			h.Drain()
		}
		w.log.WithField("drain_timeout", w.cfg.DrainTimeout.String()).WithField("live", w.table.Count()).Info("draining: no new jobs are taken")
		if w.cfg.DrainTimeout == 0 {
			w.stopTheRuns()
			return
		}
		time.AfterFunc(w.cfg.DrainTimeout, w.stopTheRuns)
	})
}

// HandBack drains without patience: live runs are stopped now.
func (w *Worker) HandBack() {
	w.Drain()
	w.stopTheRuns()
}

func (w *Worker) stopTheRuns() { w.stopsOnce.Do(func() { close(w.stopRuns) }) }

func (w *Worker) isDraining() bool { return isClosed(w.draining) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Ready answers nil while the worker takes jobs, else why it does not.
func (w *Worker) Ready() error {
	if w.isDraining() {
		return errors.New("draining")
	}
	if why := w.refusal.Load(); why != nil {
		return errors.New(*why)
	}
	if h := w.brake.state(); h.On {
		return fmt.Errorf("the fleet is halted (%s): `curfew unhalt` ends it", cmp.Or(h.Reason, "no reason was given"))
	}
	h := w.hints.Load()
	if h == nil {
		return errors.New("not pulling yet")
	}
	return h.Healthy()
}

// Live is the number of live subprocesses of this worker.
func (w *Worker) Live() int { return w.table.Count() }

// Slots is how many adoptions are under way, of how many that may be: one that is
// about to start a subprocess, or settles one, has a slot as well.
func (w *Worker) Slots() (busy, all int) { return int(w.busy.Load()), cap(w.slots) }

// AgentNames lists the agents that this worker runs.
func (w *Worker) AgentNames() []string { return sortedNames(w.cfg.Agents) }

// sweepTemps removes the temporary folders that dead workers left.
func (w *Worker) sweepTemps() {
	removed, err := w.temps.sweep()
	if err != nil {
		w.log.WithError(err).Warn("a temporary folder of a dead worker could not be removed")
	}
	if removed > 0 {
		w.log.WithField("removed", removed).Info("removed temporary folders that dead workers left")
	}
}

// tidyUp removes this worker's own.
func (w *Worker) tidyUp() {
	if err := w.temps.close(); err != nil {
		w.log.WithError(err).Warn("a temporary folder of this worker is left for the next one to remove")
	}
}

func sortedNames(agents map[string]*agent.Agent) []string { return slices.Sorted(maps.Keys(agents)) }
