package registry

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// backend is one kind of Redis that the leases must work on.
type backend struct {
	name  string
	can   ability
	start func(t *testing.T) *server
}

// ability is what a test can do to a kind of Redis.
type ability uint8

const (
	restarts ability = 1 << iota // kill -9 and start it again, empty
	proxied                      // stand between it and its clients; those of a cluster go around a proxy
	refuses                      // make it refuse to write
)

// backends are the ones that this machine has.
func backends() []backend {
	all := []backend{{"miniredis", proxied, startMiniredis}}
	if _, err := exec.LookPath("redis-server"); err == nil {
		all = append(all,
			backend{"redis", restarts | proxied | refuses, func(t *testing.T) *server { t.Helper(); return startRedis(t) }},
			backend{"cluster", refuses, startCluster})
	}
	return all
}

// server is one Redis of a test's own.
type server struct {
	addr    string
	url     string           // of the form that its kind needs
	restart func(testing.TB) // kill -9 and start again, empty; nil: cannot be done
	stop    func()           // for good
	knowsID bool             // INFO tells its run id
	form    func(addr string) string
}

func quietLog() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}

func startMiniredis(t *testing.T) *server {
	t.Helper()
	m := miniredis.NewMiniRedis()
	require.NoError(t, m.Start())
	t.Cleanup(m.Close)
	m.ClockTTL(true)
	s := singleForm(m.Addr())
	s.stop = m.Close
	return s
}

func singleForm(addr string) *server {
	form := func(addr string) string { return "redis://" + addr }
	return &server{addr: addr, url: form(addr), form: form}
}

func startRedis(tb testing.TB) *server {
	tb.Helper()
	port, run, kill := spawnRedis(tb)
	s := singleForm(net.JoinHostPort("127.0.0.1", port))
	s.knowsID, s.restart, s.stop = true, func(tb testing.TB) { tb.Helper(); kill(); run(tb) }, kill
	return s
}

// startCluster is a cluster of one: its client takes other ways than a single server's.
func startCluster(t *testing.T) *server {
	t.Helper()
	port, _, kill := spawnRedis(t, "--cluster-enabled", "yes", "--cluster-port", freePort(t), "--cluster-announce-ip", "127.0.0.1")
	addr := net.JoinHostPort("127.0.0.1", port)
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { require.NoError(t, c.Close()) }()
	require.NoError(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Eventually(t, func() bool {
		return c.Set(t.Context(), "ready", "1", time.Minute).Err() == nil
	}, 60*time.Second, 20*time.Millisecond)
	form := func(addr string) string { return "redis://" + addr + "?addr=" + addr }
	return &server{addr: addr, url: form(addr), form: form, knowsID: true, stop: kill}
}

func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(tb, err)
	return port
}

// spawnRedis starts a redis-server without persistence on a port that was free
// a moment ago, on another one if it is not any more. run starts it again after
// kill.
func spawnRedis(tb testing.TB, args ...string) (port string, run func(testing.TB), kill func()) {
	tb.Helper()
	dir := tb.TempDir()
	var cmd *exec.Cmd
	kill = func() {
		if cmd != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			cmd = nil
		}
	}
	tb.Cleanup(func() { kill() })
	start := func() bool {
		cmd = exec.Command("redis-server", append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir}, args...)...)
		require.NoError(tb, cmd.Start())
		c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, MaxRetries: -1, DialerRetries: 1})
		defer func() { _ = c.Close() }()
		mine := "process_id:" + strconv.Itoa(cmd.Process.Pid) + "\r\n"
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			info, err := c.Info(context.Background(), "server").Result()
			if err == nil {
				return strings.Contains(info, mine) // else another test's, on the same port
			}
		}
		return false
	}
	for range 5 {
		port = freePort(tb)
		if start() {
			return port, func(tb testing.TB) { tb.Helper(); require.True(tb, start()) }, kill
		}
		kill()
	}
	tb.Fatal("redis-server does not start")
	return "", nil, nil
}

// connect opens a pool to the server, or to a stand-in for it at addr.
func (s *server) connect(tb testing.TB, addr ...string) *Redis {
	tb.Helper()
	url := s.url
	if len(addr) > 0 {
		url = s.form(addr[0])
	}
	r, err := ConnectRedis(tb.Context(), RedisOptions{URL: url, Log: quietLog()})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = r.Close() })
	return r
}

func (s *server) leases(tb testing.TB, terms Terms) *Leases {
	tb.Helper()
	require.NoError(tb, terms.Validate())
	return NewLeases(s.connect(tb), "test", terms, quietLog())
}

// running renews until the test ends.
func running(t *testing.T, l *Leases) *Leases {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return l
}

// ask is a request for a session by a new adoption.
func ask(session string) Ask { return Ask{Session: session, Token: NewToken()} }

func newSession() string { return uuid.NewString() }

func grant(t *testing.T, l *Leases, a Ask) *Lease {
	t.Helper()
	x, err := l.Acquire(t.Context(), a)
	require.NoError(t, err)
	t.Cleanup(x.Orphan)
	return x
}

// refusedHeld answers how long the refused one was told to wait.
func refusedHeld(t *testing.T, l *Leases, a Ask) time.Duration {
	t.Helper()
	_, err := l.Acquire(t.Context(), a)
	var held *HeldError
	require.ErrorAs(t, err, &held)
	return held.Wait
}

// refusedUnclean answers how long the refused one was told to wait.
func refusedUnclean(t *testing.T, l *Leases, a Ask) time.Duration {
	t.Helper()
	_, err := l.Acquire(t.Context(), a)
	var unclean *UncleanError
	require.ErrorAs(t, err, &unclean)
	return unclean.Wait
}

// grantedLater asks until it is granted; nothing but refusals may come before.
func grantedLater(t *testing.T, l *Leases, a Ask) *Lease {
	t.Helper()
	var x *Lease
	require.Eventually(t, func() bool {
		var err error
		x, err = l.Acquire(t.Context(), a)
		if err == nil {
			return true
		}
		var held *HeldError
		var unclean *UncleanError
		if !errors.As(err, &held) && !errors.As(err, &unclean) {
			t.Errorf("neither granted nor refused: %v", err)
			return true
		}
		return false
	}, 30*time.Second, 10*time.Millisecond)
	require.NotNil(t, x)
	t.Cleanup(x.Orphan)
	return x
}

// lock is the token that Redis has in the lock, "" none.
func lock(t *testing.T, l *Leases, session string) string {
	t.Helper()
	v, err := l.redis.client.Get(t.Context(), l.keys(session)[0]).Result()
	if !errors.Is(err, redis.Nil) {
		require.NoError(t, err)
	}
	return v
}

func leaseHash(t *testing.T, l *Leases, session string) map[string]string {
	t.Helper()
	f, err := l.redis.client.HGetAll(t.Context(), l.keys(session)[1]).Result()
	require.NoError(t, err)
	return f
}

func setLease(t *testing.T, l *Leases, session string, fields ...any) {
	t.Helper()
	require.NoError(t, l.redis.client.HSet(t.Context(), l.keys(session)[1], fields...).Err())
}

// dropLock is what an eviction, or a hand, does to a lock.
func dropLock(t *testing.T, l *Leases, session string) {
	t.Helper()
	require.NoError(t, l.redis.client.Del(t.Context(), l.keys(session)[0]).Err())
}

func flush(t *testing.T, l *Leases) {
	t.Helper()
	require.NoError(t, l.redis.client.FlushAll(t.Context()).Err())
}

// renewOnce sends one renewal under a token, as a request would that was late.
func renewOnce(t *testing.T, l *Leases, session, token string) string {
	t.Helper()
	r, err := parseReply(l.scripts.renew.Run(t.Context(), l.redis.client, l.keys(session),
		token, l.terms.TTL.Milliseconds(), leaseKept.Milliseconds()).Result())
	require.NoError(t, err)
	return r.word
}

func redisNow(t *testing.T, l *Leases) time.Time {
	t.Helper()
	now, err := l.redis.client.Time(t.Context()).Result()
	require.NoError(t, err)
	return now.Truncate(time.Millisecond)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
