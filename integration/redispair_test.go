package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

const (
	sentinelMaster = "sessions"
	replicaUser    = "copier" // whom the replica logs in as: without its rights it gets nothing and stays alive
)

// redisPair is two redis-servers without persistence, and a Sentinel that says which of them is the primary.
type redisPair struct {
	t        *testing.T
	servers  [2]*redisServer
	primary  int
	sentinel *redisServer
}

func newRedisPair(t *testing.T) *redisPair {
	t.Helper()
	dir, err := os.MkdirTemp(lab.dir, "sentinel") //nolint:usetesting // stays with the test run's files, which can be kept
	require.NoError(t, err)
	p := &redisPair{t: t}
	start := func(name, conf string, args ...string) *redisServer {
		s := &redisServer{lab: lab, dir: filepath.Join(dir, name)}
		require.NoError(t, os.Mkdir(s.dir, 0o700))
		s.port, err = freePort()
		require.NoError(t, err)
		s.args = append([]string{filepath.Join(s.dir, "redis.conf")}, args...)
		text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\n%s", s.port, s.dir, conf)
		require.NoError(t, os.WriteFile(s.args[0], []byte(text), 0o600))
		require.NoError(t, s.start())
		t.Cleanup(func() {
			if s.proc != nil {
				s.kill()
			}
		})
		return s
	}
	const server = "save \"\"\nmaxmemory-policy noeviction\nuser " + replicaUser + " on >copy ~* &* +@all\nmasteruser " + replicaUser + "\nmasterauth copy\n" +
		"repl-diskless-sync-delay 0\n"
	p.servers[0] = start("a", server)
	p.servers[1] = start("b", server+fmt.Sprintf("replicaof 127.0.0.1 %d\n", p.servers[0].port))
	// One Sentinel, whose word is enough: a real fleet has three on three machines. It promotes no replica that has heard nothing
	// for ten times down-after.
	p.sentinel = start("sentinel", fmt.Sprintf("sentinel monitor %[1]s 127.0.0.1 %[2]d 1\nsentinel down-after-milliseconds %[1]s 20000\n"+
		"sentinel failover-timeout %[1]s 6000\n", sentinelMaster, p.servers[0].port), "--sentinel")
	return p
}

func (p *redisPair) url() string {
	return fmt.Sprintf("redis://%s/0?master_name=%s", p.sentinel.address(), sentinelMaster)
}

// view is whatever server is the primary, for the harness.
func (p *redisPair) view() *redisServer {
	return &redisServer{port: p.servers[0].port, sentinel: p.sentinel.address()}
}

// ask gives one server a command that has to work.
func (p *redisPair) ask(s *redisServer, args ...any) string {
	p.t.Helper()
	text, err := s.ask(p.t.Context(), args...)
	require.NoError(p.t, err)
	return text
}

func (s *redisServer) ask(ctx context.Context, args ...any) (string, error) {
	c := s.client()
	defer c.Close()
	answer, err := c.Do(ctx, args...).Result()
	return fmt.Sprint(answer), err
}

// holdReplica lets the replica hear nothing more from its primary. It stays alive, as Sentinel sees.
func (p *redisPair) holdReplica() {
	p.t.Helper()
	s := p.servers[p.primary]
	p.ask(s, "ACL", "SETUSER", replicaUser, "off")
	p.ask(s, "CLIENT", "KILL", "USER", replicaUser)
}

// allow gives the replica its rights back, at both servers.
func (p *redisPair) allow() {
	for _, s := range p.servers {
		if s.proc.alive() {
			p.ask(s, "ACL", "SETUSER", replicaUser, "on")
		}
	}
}

// failover has Sentinel promote the replica while the primary lives.
func (p *redisPair) failover() {
	p.t.Helper()
	var err error
	require.True(p.t, poll(2*patience, func() bool {
		_, err = p.sentinel.ask(p.t.Context(), "SENTINEL", "FAILOVER", sentinelMaster)
		return err == nil
	}), "failover: %v", err)
	p.untilPromoted()
	p.allow()
}

func (p *redisPair) killPrimary() {
	p.t.Helper()
	p.ask(p.sentinel, "SENTINEL", "SET", sentinelMaster, "down-after-milliseconds", "6000")
	p.servers[p.primary].kill()
}

// startKilled brings the old primary back, with nothing in its memory; Sentinel makes it a replica.
func (p *redisPair) startKilled() {
	p.t.Helper()
	require.NoError(p.t, p.servers[1-p.primary].start())
	p.ask(p.sentinel, "SENTINEL", "SET", sentinelMaster, "down-after-milliseconds", "20000")
	p.allow()
}

// untilPromoted waits until Sentinel names the other server and that server agrees.
func (p *redisPair) untilPromoted() {
	p.t.Helper()
	next := p.servers[1-p.primary]
	require.True(p.t, poll(2*patience, func() bool {
		where, err := p.sentinel.ask(p.t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelMaster)
		if err != nil || !strings.Contains(where, fmt.Sprint(next.port)) {
			return false
		}
		role, err := next.ask(p.t.Context(), "ROLE")
		return err == nil && strings.Contains(role, "master")
	}), "the replica is promoted\n%s", tail(p.sentinel.proc.output(), 4000))
	p.primary = 1 - p.primary
}

// untilReplicating waits until the replica follows the primary and Sentinel knows it as good.
func (p *redisPair) untilReplicating() {
	p.t.Helper()
	require.True(p.t, poll(2*patience, func() bool {
		info, err := p.servers[1-p.primary].ask(p.t.Context(), "INFO", "replication")
		if err != nil || !strings.Contains(info, "role:slave") || !strings.Contains(info, "master_link_status:up") {
			return false
		}
		if !strings.Contains(info, fmt.Sprintf("master_port:%d", p.servers[p.primary].port)) {
			return false
		}
		known, err := p.sentinel.ask(p.t.Context(), "SENTINEL", "REPLICAS", sentinelMaster)
		return err == nil && strings.Contains(known, "flags:slave ") && strings.Contains(known, "master-link-status:ok")
	}), "the replica follows its primary\n%s", tail(p.sentinel.proc.output(), 4000))
}

// sentinelClient asks Sentinel for the primary.
func sentinelClient(sentinel string) *redis.Client {
	return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: sentinelMaster, SentinelAddrs: []string{sentinel}, DialTimeout: time.Second})
}
