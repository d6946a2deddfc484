package doctor

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
	"curfew/worker/agent"
	"curfew/worker/process"
)

// ward is a stack of a test's own, with a real redis-server, and the worker that would be started on it.
type ward struct {
	patient Patient
	redis   *registry.Redis
	nats    *server.Server
}

// plan says how a ward is to be made.
type plan struct {
	nats    func(*server.Options)
	worker  *server.Permissions // of the worker's user
	unset   bool                // no streams yet
	redis   []string            // arguments of redis-server
	acl     []string            // of the worker's user
	patient func(*testing.T, *ward)
}

func open(t *testing.T, p plan) *ward {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true}
	o.Users = []*server.User{
		{Username: "admin", Password: "secret"},
		{Username: "worker", Password: "secret", Permissions: p.worker},
	}
	if p.nats != nil {
		p.nats(o)
	}
	n, err := server.NewServer(o)
	require.NoError(t, err)
	n.Start()
	t.Cleanup(func() { n.Shutdown(); n.WaitForShutdown() })
	require.True(t, n.ReadyForConnections(30*time.Second))
	terms := registry.DefaultTerms()
	if p.nats == nil && !p.unset {
		setUp(t, n.ClientURL(), terms)
	}
	w := &ward{nats: n}
	socket := startRedis(t, p.redis)
	w.redis, err = registry.ConnectRedis(t.Context(), registry.RedisOptions{URL: "unix://" + socket})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.redis.Close() })
	acl := p.acl
	if acl == nil {
		acl = []string{"~curfew:*", "+@all", "-@admin", "-@dangerous", "+info"}
	}
	set := []any{"ACL", "SETUSER", "worker", "on", ">secret"}
	for _, one := range acl {
		set = append(set, one)
	}
	require.NoError(t, w.redis.Client().Do(t.Context(), set...).Err())
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	dir := t.TempDir()
	w.patient = Patient{
		Queue:    queue.Options{URL: n.ClientURL(), User: "worker", Password: "secret", Namespace: "curfew"},
		Redis:    registry.RedisOptions{URL: "unix://worker:secret@" + socket},
		Terms:    terms,
		Agents:   map[string]*agent.Agent{"default": {Name: "default", Command: []string{sh}}},
		Folders:  map[string]string{"worker.data": filepath.Join(dir, "data"), "worker.run_dir": filepath.Join(dir, "run")},
		Cgroup:   func() (string, error) { return "/sys/fs/cgroup/test", nil },
		Now:      time.Now,
		Patience: 20 * time.Second,
	}
	if p.patient != nil {
		p.patient(t, w)
	}
	return w
}

func setUp(t *testing.T, url string, terms registry.Terms) {
	t.Helper()
	q, err := queue.Connect(t.Context(), queue.Options{URL: url, User: "admin", Password: "secret", Namespace: "curfew"})
	require.NoError(t, err)
	defer q.Close()
	require.NoError(t, q.Declare(t.Context(), queue.Terms{TTL: terms.TTL, Margin: terms.Margin}))
	_, err = registry.OpenRecords(t.Context(), q.Conn(), "curfew", registry.RecordOptions{Declare: true})
	require.NoError(t, err)
}

// startRedis answers the socket of a redis-server that ends with the test.
func startRedis(t *testing.T, args []string) string {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server in PATH")
	}
	dir, err := os.MkdirTemp("", "doctor") //nolint:usetesting // the path of a socket has to be short
	require.NoError(t, err)
	socket := filepath.Join(dir, "s")
	cmd := exec.CommandContext(context.Background(), bin,
		append([]string{"--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir}, args...)...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	require.Eventually(t, func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", socket)
		if err != nil {
			return false
		}
		return c.Close() == nil
	}, 30*time.Second, 5*time.Millisecond, "redis-server is not up")
	return socket
}

func deny(publish, subscribe string) *server.Permissions {
	p := &server.Permissions{Publish: &server.SubjectPermission{}, Subscribe: &server.SubjectPermission{}}
	if publish != "" {
		p.Publish.Deny = []string{publish}
	}
	if subscribe != "" {
		p.Subscribe.Deny = []string{subscribe}
	}
	return p
}

// TestEachFaultIsNamed: a planted fault is found by its check, which says how to mend it, and by no other.
func TestEachFaultIsNamed(t *testing.T) {
	t.Parallel()
	wrong := func(w *ward, d time.Duration) { w.patient.Now = func() time.Time { return time.Now().Add(d) } }
	for _, c := range []struct {
		name  string
		plan  plan
		fails string // names of the checks that fail, in the table's order
		warns string // of those that warn, "not checked" left aside
		seen  string // by the first of them
		mend  string
	}{
		{name: "healthy"},
		{name: "nothing set up yet", plan: plan{unset: true}},
		{
			name: "nothing set up yet, and it may not", plan: plan{unset: true, patient: func(_ *testing.T, w *ward) { w.patient.Queue.Declare = queue.DeclareNever }},
			fails: "streams", seen: "do not exist", mend: "curfew setup",
		},
		{
			name: "NATS away", plan: plan{patient: func(_ *testing.T, w *ward) { w.nats.Shutdown(); w.nats.WaitForShutdown() }},
			fails: "nats", seen: "cannot be reached", mend: "nats.url",
		},
		{
			name: "NATS credentials wrong", plan: plan{patient: func(_ *testing.T, w *ward) { w.patient.Queue.Password = "wrong" }},
			fails: "nats", seen: "refuses these credentials", mend: "nats.user",
		},
		{
			name: "JetStream off", plan: plan{nats: func(o *server.Options) { o.JetStream = false }},
			fails: "jetstream", seen: "not enabled", mend: "jetstream {",
		},
		{
			name: "may not publish events", plan: plan{worker: deny("curfew.events.>", "")},
			fails: "nats-permissions", seen: `publish to "curfew.events.`, mend: "permissions",
		},
		{
			name: "may not write records", plan: plan{worker: deny("$KV.>", "")},
			fails: "nats-permissions", seen: `publish to "$KV.CURFEW_SESSIONS.`, mend: "permissions",
		},
		{
			name: "may not remove jobs", plan: plan{worker: deny("$JS.API.STREAM.MSG.DELETE.>", "")},
			fails: "nats-permissions", seen: `publish to "$JS.API.STREAM.MSG.DELETE.CURFEW_JOBS"`, mend: "permissions",
		},
		{
			name: "may not hear orders", plan: plan{worker: deny("", "curfew.control.>")},
			fails: "nats-permissions", seen: `subscribe to "curfew.control.*"`, mend: "permissions",
		},
		{
			name: "may not get answers", plan: plan{worker: deny("", "_INBOX.>"), patient: func(_ *testing.T, w *ward) { w.patient.Patience = 5 * time.Second }},
			fails: "jetstream nats-permissions", seen: "does not answer", mend: "nats-permissions",
		},
		{
			name: "max_payload far too small", plan: plan{nats: func(o *server.Options) { o.MaxPayload = 32 << 10 }},
			fails: "max_payload", seen: "32768 bytes, Curfew needs 65536", mend: "max_payload",
		},
		{
			name: "max_payload small", plan: plan{nats: func(o *server.Options) { o.MaxPayload = 128 << 10 }},
			warns: "max_payload",
		},
		{
			name: "other lease times", plan: plan{patient: func(_ *testing.T, w *ward) { w.patient.Terms.TTL = 20 * time.Second }},
			fails: "streams", seen: "lease.ttl 15s and lease.margin 2s, this configuration says 20s and 2s", mend: "curfew setup",
		},
		{
			name: "another backlog", plan: plan{patient: func(_ *testing.T, w *ward) { w.patient.Queue.Backlog = 7 }},
			fails: "streams", seen: "differ", mend: "curfew setup",
		},
		{
			name: "halted", plan: plan{patient: func(t *testing.T, w *ward) {
				t.Helper()
				q, err := queue.Connect(t.Context(), w.patient.Queue)
				require.NoError(t, err)
				defer q.Close()
				r, err := registry.OpenRecords(t.Context(), q.Conn(), "curfew", registry.RecordOptions{})
				require.NoError(t, err)
				_, _, err = r.SetHalt(t.Context(), registry.Halt{On: true, Reason: "runaway spend", By: "me", At: time.Now()})
				require.NoError(t, err)
			}},
			warns: "fleet", seen: "runaway spend", mend: "curfew unhalt",
		},
		{
			name: "Redis away", plan: plan{patient: func(_ *testing.T, w *ward) { w.patient.Redis.URL = "unix:///nowhere/at/all" }},
			fails: "redis", seen: "cannot be reached", mend: "redis.url",
		},
		{
			name: "Redis password wrong", plan: plan{patient: func(_ *testing.T, w *ward) { w.patient.Redis.Password = "wrong" }},
			fails: "redis", seen: "refuses this user and password", mend: "redis.password",
		},
		{
			name: "Redis evicts", plan: plan{redis: []string{"--maxmemory-policy", "allkeys-lru"}},
			fails: "redis-eviction", seen: "allkeys-lru", mend: "noeviction",
		},
		{
			name: "no INFO", plan: plan{acl: []string{"~curfew:*", "+@all", "-info"}},
			fails: "redis-info", seen: "INFO is forbidden", mend: "+info",
		},
		{
			name: "no scripts", plan: plan{acl: []string{"~curfew:*", "+@all", "-eval", "-evalsha"}},
			fails: "redis-lease", seen: "may not", mend: "+evalsha",
		},
		{
			name: "other keys", plan: plan{acl: []string{"~other:*", "+@all"}},
			fails: "redis-lease", seen: "may not", mend: "~curfew:*",
		},
		{
			name: "a replica", plan: plan{patient: func(t *testing.T, w *ward) {
				t.Helper()
				require.NoError(t, w.redis.Client().Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
			}},
			fails: "redis-lease", seen: "READONLY", mend: "replica",
		},
		{
			name: "clock 5 s ahead", plan: plan{patient: func(_ *testing.T, w *ward) { wrong(w, 5*time.Second) }},
			fails: "nats-clock redis-clock", seen: "ahead of the NATS server's; lease.margin is 2s", mend: "NTP",
		},
		{
			name: "clock 5 s behind", plan: plan{patient: func(_ *testing.T, w *ward) { wrong(w, -5*time.Second) }},
			fails: "nats-clock redis-clock", seen: "behind the NATS server's", mend: "NTP",
		},
		{
			name: "program missing", plan: plan{patient: func(_ *testing.T, w *ward) {
				w.patient.Agents["claude"] = &agent.Agent{Name: "claude", Command: []string{"no-such-program"}}
			}},
			fails: "agents", seen: `program "no-such-program" not found`, mend: "install no-such-program",
		},
		{
			name: "no agent", plan: plan{patient: func(_ *testing.T, w *ward) { w.patient.Agents = nil }},
			fails: "agents", seen: "no agent", mend: "agents:",
		},
		{
			name: "folder taken", plan: plan{patient: func(t *testing.T, w *ward) {
				t.Helper()
				file := filepath.Join(t.TempDir(), "file")
				require.NoError(t, os.WriteFile(file, nil, 0o600))
				w.patient.Folders["worker.data"] = filepath.Join(file, "data")
			}},
			fails: "folders", seen: "worker.data", mend: "folder",
		},
		{
			name: "cgroup not writable", plan: plan{patient: func(_ *testing.T, w *ward) {
				w.patient.Cgroup = func() (string, error) { return "", process.ErrNoCgroups }
			}},
			fails: "cgroup", seen: "no writable cgroup", mend: "Delegate=yes",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := open(t, c.plan)
			findings := Examine(t.Context(), w.patient)
			require.Len(t, findings, len(table()))
			var fails, warns []string
			var first *Finding
			for i, f := range findings {
				require.Equal(t, table()[i].name, f.Name)
				require.NotEmpty(t, f.Seen)
				t.Logf("%-4s %s: %s -> %s", f.Verdict, f.Name, f.Seen, f.Mend)
				switch {
				case f.Verdict == Fail:
					fails = append(fails, f.Name)
				case f.Verdict == Warn && !strings.HasPrefix(f.Seen, "not checked: "):
					warns = append(warns, f.Name)
				default:
					continue
				}
				require.NotEmpty(t, f.Mend)
				if first == nil {
					first = &findings[i]
				}
			}
			require.Equal(t, c.fails, strings.Join(fails, " "))
			require.Equal(t, c.warns, strings.Join(warns, " "))
			if first != nil {
				require.Contains(t, first.Seen, c.seen)
				require.Contains(t, first.Mend, c.mend)
			}
		})
	}
}

// TestLookingChangesNothing: what the doctor tries leaves no message and no key behind.
func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	w := open(t, plan{})
	q, err := queue.Connect(t.Context(), w.patient.Queue)
	require.NoError(t, err)
	defer q.Close()
	_, err = q.Publish(t.Context(), queue.NewJob{Session: "5b1c3ab0-6f0e-4c69-9c55-2b8d7d3d7a01"})
	require.NoError(t, err)
	for range 2 {
		Examine(t.Context(), w.patient)
	}
	info, err := w.nats.Jsz(&server.JSzOptions{Streams: true, Consumer: true})
	require.NoError(t, err)
	require.EqualValues(t, 1, info.Messages, "the job, untouched, and nothing else")
	keys, err := w.redis.Client().Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	for _, k := range keys {
		require.Contains(t, k, "duty-doctor", "it ends by itself")
	}
	locks, err := w.redis.Client().Keys(t.Context(), "*lock").Result()
	require.NoError(t, err)
	require.Empty(t, locks)
}

// A check that does not heed its time keeps nobody waiting.
func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	w := open(t, plan{})
	stuck := make(chan struct{})
	defer close(stuck)
	w.patient.Patience = 2 * time.Second
	w.patient.Cgroup = func() (string, error) { <-stuck; return "", nil }
	findings := Examine(t.Context(), w.patient)
	last := findings[len(findings)-1]
	require.Equal(t, "cgroup", last.Name)
	require.Equal(t, Fail, last.Verdict)
	require.Contains(t, last.Seen, "no answer within 2s")
}
