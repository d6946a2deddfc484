package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

var redisFaults = []fault{
	{name: "redis killed, forgets", excuse: nothing, lease: patientLease, make: of(redisKilled{})},
	{name: "redis killed, has its log", excuse: nothing, lease: patientLease, make: of(redisKilled{keeps: true})},
	{name: "redis away for longer than a lease", excuse: rerun, make: of(redisKilled{away: leaseTTL + time.Second})},
	{name: "redis restored from an old snapshot", excuse: nothing, lease: patientLease, make: of(redisRestored{})},
	{name: "redis flushed", excuse: nothing, lease: patientLease, make: of(redisFlushed{})},
	{name: "locks evicted", excuse: nothing, lease: patientLease, make: of(evicted{kinds: []string{"lock"}})},
	{name: "locks and leases evicted", excuse: nothing, lease: patientLease, make: of(evicted{kinds: []string{"lock", "lease"}})},
	{name: "redis hung for 3 s", excuse: nothing, lease: patientLease, hold: 3 * time.Second, make: of(redisHung{})},
	{name: "redis hung for 10 s", excuse: rerun, hold: 10 * time.Second, make: of(redisHung{})},
	{name: "redis hung for 30 s", excuse: rerun, lease: patientLease, hold: 30 * time.Second, make: of(redisHung{})},
}

// redisKilled is kill -9 and a restart: with nothing, or with everything that was acknowledged.
type redisKilled struct {
	keeps bool
	away  time.Duration
}

func (f *redisKilled) Inject(r *rig) {
	s := r.stack.redis
	if f.keeps {
		s.writeLog(r)
	}
	s.kill()
	r.hold(f.away)
	require.NoError(r.t, s.start())
}

func (f *redisKilled) Heal(r *rig) {
	if f.keeps {
		r.stack.redis.dropLog(r)
	}
}

// writeLog has every write on the disk before it is acknowledged.
func (s *redisServer) writeLog(r *rig) {
	c := s.client()
	defer c.Close()
	require.NoError(r.t, c.ConfigSet(r.ctx(), "appendfsync", "always").Err())
	require.NoError(r.t, c.ConfigSet(r.ctx(), "appendonly", "yes").Err())
	r.await(func() bool {
		info := c.Info(r.ctx(), "persistence").Val()
		return strings.Contains(info, "aof_enabled:1") && strings.Contains(info, "aof_rewrite_in_progress:0") &&
			strings.Contains(info, "aof_rewrite_scheduled:0") && strings.Contains(info, "aof_last_bgrewrite_status:ok")
	}, "redis writes its log")
	s.more = []string{"--appendonly", "yes"}
}

// dropLog is as it was before: a log that is synced at each write would hold up everything that follows.
func (s *redisServer) dropLog(r *rig) {
	c := s.client()
	defer c.Close()
	require.NoError(r.t, c.ConfigSet(r.ctx(), "appendonly", "no").Err())
	require.NoError(r.t, c.ConfigSet(r.ctx(), "appendfsync", "everysec").Err())
	s.more = nil
	require.NoError(r.t, os.RemoveAll(filepath.Join(s.dir, "appendonlydir")))
}

// redisRestored is an operator who brings back yesterday's dump: locks and leases of old, none of the new ones.
type redisRestored struct{}

func (*redisRestored) Inject(r *rig) {
	s := r.stack.redis
	c := s.client()
	defer c.Close()
	require.NoError(r.t, c.Save(r.ctx()).Err())
	r.hold(1500 * time.Millisecond)
	s.kill()
	require.NoError(r.t, s.start()) // it finds the dump
}

func (*redisRestored) Heal(r *rig) {
	require.NoError(r.t, os.Remove(filepath.Join(r.stack.redis.dir, "dump.rdb")))
}

type redisFlushed struct{}

func (*redisFlushed) Inject(r *rig) { require.NoError(r.t, r.stack.redis.flush(r.ctx())) }
func (*redisFlushed) Heal(*rig)     {}

// evicted are keys of live leases that memory was too short for, or a hand deleted.
type evicted struct{ kinds []string }

func (f *evicted) Inject(r *rig) {
	c := r.stack.redis.client()
	defer c.Close()
	r.await(func() bool { // while somebody holds one
		var keys []string
		for _, kind := range f.kinds {
			found, err := r.stack.redis.keys(r.ctx(), fmt.Sprintf("%s:{*-*-*-*-*}:%s", r.ns, kind))
			require.NoError(r.t, err)
			if len(found) == 0 {
				return false
			}
			keys = append(keys, found...)
		}
		n, err := c.Del(r.ctx(), keys...).Result()
		return err == nil && n > 0
	}, "a lease was held")
}

func (*evicted) Heal(*rig) {}

// redisHung stands still, and answers everything when it goes on.
type redisHung struct{}

func (*redisHung) Inject(r *rig) { r.stack.redis.proc.signal(syscall.SIGSTOP) }

func (*redisHung) Heal(r *rig) {
	s := r.stack.redis
	s.proc.signal(syscall.SIGCONT)
	require.NoError(r.t, s.proc.awaitService(func(ctx context.Context) error {
		c := redis.NewClient(&redis.Options{Addr: s.address(), MaxRetries: -1})
		defer c.Close()
		return c.Ping(ctx).Err()
	}))
}
