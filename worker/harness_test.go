package worker

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
)

// TestMain turns the test binary into the agent where it is started as one.
func TestMain(m *testing.M) {
	if os.Getenv("CURFEW_SESSION") != "" {
		os.Exit(runTestAgent())
	}
	os.Exit(m.Run())
}

// What is awaited takes milliseconds; patience is for a machine under load.
const (
	patience = time.Minute
	tick     = 5 * time.Millisecond
)

// bench is one namespace with its servers, for workers in this process.
type bench struct {
	t     testing.TB
	redis *miniredis.Miniredis
	nats  *natsd.Server
	dir   string
	store string // of NATS
	// ackWait is after how long what was delivered and not answered is delivered again.
	ackWait time.Duration
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	b := &bench{t: tb, dir: tb.TempDir(), store: tb.TempDir(), ackWait: 2 * time.Second}
	b.redis = miniredis.RunT(tb)
	ctx, stop := context.WithCancel(context.Background())
	ticked := make(chan struct{})
	go func() { // the TTLs of miniredis stand still unless told otherwise
		defer close(ticked)
		for last := time.Now(); ; {
			select {
			case <-ctx.Done():
				return
			case now := <-time.After(50 * time.Millisecond):
				b.redis.FastForward(now.Sub(last))
				last = now
			}
		}
	}()
	tb.Cleanup(func() { stop(); <-ticked })
	s, err := natsd.NewServer(&natsd.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: b.store, NoLog: true, NoSigs: true, MaxPayload: 8 << 20})
	require.NoError(tb, err)
	s.Start()
	tb.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(tb, s.ReadyForConnections(10*time.Second))
	b.nats = s
	return b
}

var testTerms = registry.Terms{TTL: 4 * time.Second, Renew: time.Second, Margin: 500 * time.Millisecond}

// started is one running worker.
type started struct {
	*Worker
	q       *queue.Queue
	records *registry.Records
	ended   chan error
}

// worker starts a worker; it is handed back at the end of the test.
func (b *bench) worker(change func(*Config)) *started {
	b.t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	if testing.Verbose() {
		log.SetOutput(os.Stderr)
		log.SetLevel(logrus.DebugLevel)
	}
	entry := logrus.NewEntry(log)
	ctx := b.t.Context()
	q, err := queue.Connect(ctx, queue.Options{URL: b.nats.ClientURL(), Namespace: "curfew", AckWait: b.ackWait, Backlog: 1000, Log: entry})
	require.NoError(b.t, err)
	b.t.Cleanup(q.Close)
	require.NoError(b.t, q.Declare(ctx, queue.Terms{TTL: testTerms.TTL, Margin: testTerms.Margin}))
	records, err := registry.OpenRecords(ctx, q.Conn(), "curfew", registry.RecordOptions{Declare: true})
	require.NoError(b.t, err)
	r, err := registry.ConnectRedis(ctx, registry.RedisOptions{URL: "redis://" + b.redis.Addr(), Log: entry})
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = r.Close() })
	self, err := os.Executable()
	require.NoError(b.t, err)
	c := Config{
		ID: "w", Host: "test", Concurrency: 4, DrainTimeout: 5 * time.Second, OnDrain: DrainRequeue, Data: b.dir,
		MaxAge: 4 * time.Hour, Attempts: 5, Backoff: 20 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		BusyDelay: time.Second, AckWait: b.ackWait, UnknownAgentWait: 200 * time.Millisecond, Lease: testTerms,
		Agents: map[string]*agent.Agent{"default": {Name: "default", Command: []string{self}, Grace: 500 * time.Millisecond, EnvSet: raceless}},
	}
	if change != nil {
		change(&c)
	}
	for _, a := range c.Agents {
		require.NoError(b.t, a.Resolve())
	}
	w, err := New(c, q, registry.NewLeases(r, "curfew", testTerms, entry), records, entry)
	require.NoError(b.t, err)
	s := &started{Worker: w, q: q, records: records, ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	go func() { s.ended <- w.Run(ctx); close(s.ended) }()
	b.t.Cleanup(func() { stop(); <-s.ended }) //nolint:errcheck // the tests that care have read it
	return s
}

// renewing keeps the leases of a worker that does not run.
func (b *bench) renewing(w *started) {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = w.leases.Run(ctx) })
	b.t.Cleanup(func() { stop(); all.Wait() })
}

// requests is how many messages the NATS server got from all its clients so far.
func (b *bench) requests(t *testing.T) int64 {
	t.Helper()
	v, err := b.nats.Varz(nil)
	require.NoError(t, err)
	return v.InMsgs
}

var sessions struct {
	sync.Mutex
	n int
}

func newSession() string {
	sessions.Lock()
	defer sessions.Unlock()
	sessions.n++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", sessions.n)
}

func (s *started) publish(t *testing.T, j queue.NewJob) uint64 {
	t.Helper()
	p, err := s.q.Publish(t.Context(), j)
	require.NoError(t, err)
	return p.Seq
}

// finals waits until the session has n final events and answers them by sequence.
func (s *started) finals(t *testing.T, session string, n int) map[uint64]queue.Event {
	t.Helper()
	got := map[uint64]queue.Event{}
	require.Eventually(t, func() bool {
		clear(got)
		count := 0
		err := s.q.Events(t.Context(), session, time.Time{}, false, func(e queue.Event) error {
			if e.Final {
				got[e.Seq] = e
				count++
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, len(got), count, "a job has two final events")
		return count >= n
	}, 60*time.Second, 20*time.Millisecond, "session %s has not got %d final events", session, n)
	return got
}

func (s *started) letters(t *testing.T, session string) (letters []queue.DeadLetter) {
	t.Helper()
	require.NoError(t, s.q.DeadLetters(t.Context(), queue.DeadFilter{Session: session}, func(d queue.DeadLetter) error {
		letters = append(letters, d)
		return nil
	}))
	return letters
}

// empty waits until no job waits any more.
func (s *started) empty(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		w, err := s.q.Waiting(t.Context())
		require.NoError(t, err)
		return len(w) == 0
	}, 60*time.Second, 20*time.Millisecond, "jobs are still waiting")
}

// running waits until a run of the session is live and answers its record.
func (s *started) running(t *testing.T, session string) registry.Snapshot {
	t.Helper()
	var snap registry.Snapshot
	require.Eventually(t, func() bool {
		if _, live := s.table.BySession(session); !live {
			return false
		}
		var err error
		snap, err = s.records.Get(t.Context(), session)
		require.NoError(t, err)
		return snap.Run != nil
	}, 60*time.Second, 5*time.Millisecond, "no run of %s is live", session)
	return snap
}

// runTestAgent is the subprocess: it obeys the words of its input.
func runTestAgent() int {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return 99
	}
	return obey(strings.Fields(string(input)))
}

// raceless takes away the second for which a program built with the race
// detector waits before it exits.
var raceless = map[string]string{"GORACE": "atexit_sleep_ms=0"}

// openGate lets an agent go on that awaits the file.
func openGate(t *testing.T, file string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, nil, 0o600))
}
