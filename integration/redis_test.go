package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// redisServer is a real redis-server without persistence, or the stand-in, which cannot be killed.
type redisServer struct {
	lab  *laboratory
	dir  string
	port int
	proc *proc    // nil: the stand-in
	more []string // arguments besides the usual ones
	args []string // instead of the usual ones

	password string // where it asks for one
	sentinel string // address of the Sentinel that knows the primary: then this is whatever server that is
}

type redisKind int

const (
	anyRedis  redisKind = iota // the stand-in will do
	realRedis                  // its process is part of the scenario
)

// standInTick is how far apart the stand-in's clock moves: keys may expire that much early.
const standInTick = 100 * time.Millisecond

func redisRequired() bool { return strings.Contains(os.Getenv("CURFEW_TEST_REQUIRE"), "redis") }

func redisPath() string {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return ""
	}
	return path
}

// needRedis skips a scenario that disturbs the process of Redis where there is none.
func needRedis(tb testing.TB) {
	tb.Helper()
	switch {
	case redisPath() != "":
	case redisRequired():
		tb.Fatal("CURFEW_TEST_REQUIRE asks for redis and redis-server is not in PATH: install it")
	default:
		tb.Skip("redis-server is not in PATH and this scenario stops its process: install it to run this")
	}
}

func (l *laboratory) newRedis(dir string, kind redisKind) (*redisServer, error) {
	s := &redisServer{lab: l, dir: dir}
	if redisPath() == "" {
		if kind == realRedis || redisRequired() {
			return nil, fmt.Errorf("redis-server is not in PATH: install it")
		}
		if err := s.startStandIn(); err != nil {
			return nil, err
		}
		return s, nil
	}
	var err error
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *redisServer) startStandIn() error {
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		return err
	}
	_, err := fmt.Sscan(m.Port(), &s.port)
	go func() { // as long as the test run
		for range time.Tick(standInTick) {
			m.FastForward(standInTick)
		}
	}()
	return err
}

func hostPort(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func (s *redisServer) address() string { return hostPort(s.port) }
func (s *redisServer) url() string     { return "redis://" + s.address() + "/0" }

func (s *redisServer) start() error {
	args := s.args
	if args == nil {
		args = append([]string{
			"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", s.dir,
		}, s.more...)
	}
	var err error
	s.proc, err = s.lab.start(command{name: "redis-server", path: redisPath(), dir: s.dir, args: args})
	if err != nil {
		return err
	}
	return s.proc.awaitService(func(ctx context.Context) error {
		c := s.client()
		defer c.Close()
		return c.Ping(ctx).Err()
	})
}

func (s *redisServer) client() *redis.Client {
	if s.sentinel != "" {
		return sentinelClient(s.sentinel)
	}
	return redis.NewClient(&redis.Options{Addr: s.address(), Password: s.password, DialTimeout: time.Second, MaxRetries: -1})
}

func (s *redisServer) kill() {
	s.proc.signal(killSignal)
	s.proc.wait(60 * time.Second)
}

func (s *redisServer) flush(ctx context.Context) error {
	c := s.client()
	defer c.Close()
	return c.FlushAll(ctx).Err()
}

// keys of one namespace that look like this.
func (s *redisServer) keys(ctx context.Context, pattern string) ([]string, error) {
	c := s.client()
	defer c.Close()
	var out []string
	scan := c.Scan(ctx, 0, pattern, 1000).Iterator()
	for scan.Next(ctx) {
		out = append(out, scan.Val())
	}
	return out, scan.Err()
}
