package doctor

import (
	"context"
	"errors"
	"fmt"

	"curfew/registry"
)

func checkRedis(_ context.Context, v *visit) (Finding, error) {
	x, err := v.redis()
	switch {
	case errors.Is(err, registry.ErrRedisPassword):
		return Finding{Mend: "correct the user and password in redis.url, or redis.password (CURFEW_REDIS_PASSWORD)"}, err
	case err != nil:
		return Finding{Mend: "start it, or correct redis.url (--redis-url); `curfew dev` starts one to try"}, err
	}
	return Finding{Seen: "connected to " + x.Server()}, nil
}

// mendACL says how to let a worker's user do something.
const mendACL = "in Redis: ACL SETUSER <user> %s (then ACL SAVE, or write it into users.acl)"

func checkEviction(ctx context.Context, v *visit) (Finding, error) {
	x, err := v.redisOr()
	if err != nil {
		return Finding{}, err
	}
	policy, limit, err := x.EvictionPolicy(ctx)
	switch {
	case errors.Is(err, registry.ErrDenied):
		return Finding{}, &notCheckedError{"INFO is forbidden"}
	case err != nil:
		return Finding{}, err
	case policy == "":
		return Finding{Seen: "this Redis tells no maxmemory-policy, as the embedded one"}, nil
	case policy != "noeviction":
		return Finding{
			Verdict: Fail, Seen: fmt.Sprintf("maxmemory-policy is %s (maxmemory %s): Redis may drop the lease of a live run", policy, limit),
			Mend: "in redis.conf: maxmemory-policy noeviction; now: redis-cli CONFIG SET maxmemory-policy noeviction",
		}, nil
	}
	return Finding{Seen: "maxmemory-policy is noeviction"}, nil
}

func checkInfo(ctx context.Context, v *visit) (Finding, error) {
	x, err := v.redisOr()
	if err != nil {
		return Finding{}, err
	}
	id, err := x.RunID(ctx)
	switch {
	case errors.Is(err, registry.ErrDenied):
		return Finding{
			Verdict: Fail, Seen: "INFO is forbidden to this user: a failover cannot be told from an uninterrupted life, so two workers may run one session after one",
			Mend: fmt.Sprintf(mendACL, "+info"),
		}, nil
	case err != nil:
		return Finding{}, err
	case id == "":
		return Finding{Verdict: Warn, Seen: "this Redis tells no run id, as the embedded one: it must not fail over", Mend: "use a redis-server for anything but trying things out"}, nil
	}
	return Finding{Seen: "it tells which memory answers (run id " + id[:min(8, len(id))] + "...)"}, nil
}

func checkLease(ctx context.Context, v *visit) (Finding, error) {
	x, err := v.redisOr()
	if err != nil {
		return Finding{}, err
	}
	err = x.Lease(ctx, v.Queue.Namespace, v.Terms)
	switch {
	case errors.Is(err, registry.ErrDenied):
		return Finding{Mend: fmt.Sprintf(mendACL, "~"+v.Queue.Namespace+":* +evalsha +eval +script|load +time +info +get +set +del +pttl +pexpire +hget +hmget +hset +hdel")}, err
	case err != nil:
		return Finding{Mend: "Redis must take writes: see its log, maxmemory, its disk, and whether it is a replica"}, err
	}
	return Finding{Seen: "a lease was taken and given back"}, nil
}

func checkRedisClock(ctx context.Context, v *visit) (Finding, error) {
	x, err := v.redisOr()
	if err != nil {
		return Finding{}, err
	}
	return v.compareClocks(ctx, "Redis", x.Clock)
}
