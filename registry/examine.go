package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrDenied says that Redis forbids something to this user.
var ErrDenied = errors.New("this user may not")

// ErrRedisPassword says that Redis refused the user and password.
var ErrRedisPassword = errors.New("redis refuses this user and password")

// Examination asks a Redis whether leases can be kept in it. It leaves nothing
// behind but the key of a duty for a moment.
type Examination struct{ redis *Redis }

// ExamineRedis connects, in one attempt; errors are *UnreachableError, with
// ErrRedisPassword in it where that is the cause.
func ExamineRedis(ctx context.Context, o RedisOptions) (*Examination, error) {
	r, err := ConnectRedis(ctx, o)
	if err == nil {
		return &Examination{r}, nil
	}
	for _, word := range []string{"WRONGPASS", "NOAUTH"} {
		if redis.HasErrorPrefix(rootOf(err), word) {
			return nil, fmt.Errorf("%w: %w", ErrRedisPassword, err)
		}
	}
	return nil, err
}

func rootOf(err error) error {
	if un, ok := errors.AsType[*UnreachableError](err); ok {
		return un.Err
	}
	return err
}

// Close ends the connections.
func (x *Examination) Close() error { return x.redis.Close() }

// Server is the address without user and password.
func (x *Examination) Server() string { return x.redis.server }

// Clock answers what Redis' clock shows, which decides what has expired.
func (x *Examination) Clock(ctx context.Context) (time.Time, error) {
	at, err := x.redis.client.Time(ctx).Result()
	return at, denied(err)
}

// RunID answers the memory's identity; "" where this Redis tells none, as the
// embedded one. ErrDenied without the permission for INFO: the lease scripts do
// without it then, and nobody notices.
func (x *Examination) RunID(ctx context.Context) (string, error) {
	text, err := x.redis.client.Info(ctx, "server").Result()
	if err = denied(err); errors.Is(err, ErrDenied) || err != nil && !answered(err) {
		return "", err
	}
	return infoField(text, "run_id"), nil
}

// EvictionPolicy answers maxmemory-policy and maxmemory in bytes (0: no bound);
// "" where this Redis does not tell.
func (x *Examination) EvictionPolicy(ctx context.Context) (policy, limit string, err error) {
	text, err := x.redis.client.Info(ctx, "memory").Result()
	if err = denied(err); errors.Is(err, ErrDenied) || err != nil && !answered(err) {
		return "", "", err
	}
	return infoField(text, "maxmemory_policy"), infoField(text, "maxmemory"), nil
}

// Lease takes and gives back what a worker takes: it needs the permission for
// scripts, for what they call, and for the namespace's keys.
func (x *Examination) Lease(ctx context.Context, namespace string, t Terms) error {
	l := NewLeases(x.redis, namespace, t, nil)
	d, err := l.TakeDuty(ctx, "doctor", minTTL)
	if err != nil {
		return denied(err)
	}
	if d != nil { // else another doctor has it
		d.Release(ctx)
	}
	return nil
}

func denied(err error) error {
	own, ok := errors.AsType[redis.Error](err)
	if ok && (redis.HasErrorPrefix(own, "NOPERM") || strings.Contains(own.Error(), "ACL failure in script")) {
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}

func infoField(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}
