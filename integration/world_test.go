package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// patience bounds waits whose length is not what the scenario is about.
const patience = 60 * time.Second

// world is one scenario's namespace: its configuration, its workers, the jobs published into it and what was seen of them.
type world struct {
	t     testing.TB
	ns    string
	dir   string
	stack *stack
	conf  config
	bug   string // the guard that the workers are without; "" none
	nc    *nats.Conn
	js    jetstream.JetStream

	mu      sync.Mutex
	jobs    []*job
	workers []*worker
	events  reel[event]
	letters reel[letter]
	faults  []span   // nil: nobody records them
	left    []string // processes of runs that were there 5 s after the last worker had ended
}

// newWorld makes a namespace on the servers; change adjusts the configuration before anything starts.
func newWorld(tb testing.TB, s *stack, change ...func(*config)) *world {
	tb.Helper()
	w := &world{t: tb, ns: fmt.Sprintf("it%08x", rand.Uint32()), stack: s}
	var err error
	w.dir, err = os.MkdirTemp(lab.dir, strings.ReplaceAll(tb.Name(), "/", ".")) //nolint:usetesting // stays with the test run's files, which can be kept
	require.NoError(tb, err)
	for _, sub := range []string{"journal", "data", "run", "gate"} {
		require.NoError(tb, os.Mkdir(filepath.Join(w.dir, sub), 0o700))
	}
	w.conf = quickConfig(w.ns, w.dir, s)
	for _, f := range change {
		f(&w.conf)
	}
	w.connect()
	tb.Cleanup(w.close)
	return w
}

func (w *world) connect() {
	w.t.Helper()
	var err error
	w.nc, err = nats.Connect(w.stack.nats.url(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.CustomReconnectDelay(func(int) time.Duration { return 50 * time.Millisecond }))
	require.NoError(w.t, err)
	w.js, err = jetstream.New(w.nc, jetstream.WithDefaultTimeout(5*time.Second), jetstream.WithPublishAsyncMaxPending(4000))
	require.NoError(w.t, err)
	w.events = reel[event]{name: w.stream("EVENTS"), subject: w.ns + ".events.>", read: readEvent}
	w.letters = reel[letter]{name: w.stream("DEAD"), subject: w.ns + ".dead.>", read: readLetter}
}

// stream is the full name of one of the namespace's streams.
func (w *world) stream(kind string) string { return strings.ToUpper(w.ns) + "_" + kind }

// gate is a file that scripts can wait for.
func (w *world) gate(name string) string { return filepath.Join(w.dir, "gate", name) }

func (w *world) open(gate string) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(gate, nil, 0o600))
}

func (w *world) ctx() context.Context { return w.t.Context() }

// entries are the journals' lines so far.
func (w *world) entries() []entry {
	w.t.Helper()
	all, err := readJournals(filepath.Join(w.dir, "journal"))
	require.NoError(w.t, err)
	return all
}

// runs are the subprocesses so far, each session's in order.
func (w *world) runs() []run { return runsOf(w.entries()) }

// runsOf are the subprocesses of one job so far.
func (w *world) runsOf(j *job) []run {
	var out []run
	for _, r := range w.runs() {
		if r.Session == j.Session && r.Job == j.Name {
			out = append(out, r)
		}
	}
	return out
}

// close leaves nothing behind and, where the scenario failed, says what it has seen.
func (w *world) close() {
	for _, x := range w.workers {
		if x.alive() {
			x.signal(killSignal)
		}
		x.wait(60 * time.Second)
	}
	if w.t.Failed() {
		w.dump()
	}
	w.nc.Close()
	_ = w.forget()
}

// forget removes the namespace's streams, so that the shared servers stay small.
func (w *world) forget() error {
	nc, err := nats.Connect(w.stack.nats.url(), nats.Timeout(time.Second))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // the test's own context is over by now
	defer cancel()
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		if strings.Contains(name, strings.ToUpper(w.ns)+"_") {
			_ = js.DeleteStream(ctx, name)
		}
	}
	return names.Err()
}

const dumpTail = 12 << 10

func (w *world) dump() {
	w.t.Log(w.state())
	for _, x := range w.workers {
		text := x.output()
		if len(text) > dumpTail {
			text = "..." + text[len(text)-dumpTail:]
		}
		w.t.Logf("=== log of worker %s (%s)\n%s", x.name, x.log, text)
	}
}

// state tells the scenario so far in a few lines.
func (w *world) state() string {
	var b strings.Builder
	fmt.Fprintf(&b, "=== namespace %s in %s\n", w.ns, w.dir)
	for _, j := range w.jobs {
		fmt.Fprintf(&b, "job %s seq %d wants %v\n", j.Name, j.Seq, j.Want)
	}
	for i, e := range w.entries() {
		if i == 200 {
			fmt.Fprintln(&b, "...")
			break
		}
		fmt.Fprintf(&b, "%s %-8s %s attempt %d fence %d pid %d on %s exit %d%s %s\n",
			e.At.Format("15:04:05.000"), e.Kind, e.Job, e.Attempt, e.Fence, e.PID, e.Worker, e.Code, e.Signal, e.Note)
	}
	for i, e := range w.events.all {
		if i == 200 {
			fmt.Fprintln(&b, "...")
			break
		}
		fmt.Fprintf(&b, "event %s\n", e)
	}
	for _, l := range w.letters.all {
		fmt.Fprintf(&b, "letter %s\n", l)
	}
	return b.String()
}
