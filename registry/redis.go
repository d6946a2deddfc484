package registry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/sirupsen/logrus"
)

// RedisOptions say where Redis is. The form of the URL decides what it is:
//
//	redis://[user:password@]host:port/db             one server; rediss:// for TLS, unix:///path for a socket
//	redis://host:26379/db?master_name=NAME           Sentinel; &addr=host:port names further sentinels,
//	                                                 &password= is Redis' own, the one before @ is Sentinel's
//	redis://host:6379?addr=host2:6379                Cluster; one addr is enough, also the host's own
//
// Settings that the URL names (read_timeout=, pool_size=, ...) win over the
// ones chosen here, max_retries excepted: see Redis.
type RedisOptions struct {
	URL      string
	Password string // wins over a password in the URL; never logged
	Log      *logrus.Entry
}

// Redis is a connection pool to one Redis, its Sentinels or its Cluster. It
// connects again by itself and never sends a command twice of its own accord:
// who sends a release must know how often it was sent.
type Redis struct {
	client redis.UniversalClient
	server string
}

// UnreachableError says that a server did not answer, or refused to. Server
// is its address without user and password.
type UnreachableError struct {
	Server string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("redis at %s cannot be reached: %v (is it running, and is the redis url right?)", e.Server, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

const (
	dialTimeout    = time.Second
	requestTimeout = 2 * time.Second
	poolSize       = 64
	connectTimeout = 5 * time.Second
)

// ConnectRedis opens the pool and waits for one answer, until ctx ends or for
// 5 s. A server that does not answer is an *UnreachableError. The log of the
// Redis library, which is one per process, goes to o.Log from then on.
func ConnectRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	client, server, err := openRedis(o)
	if err != nil {
		return nil, err
	}
	if o.Log != nil {
		redis.SetLogger(newLibraryLog(o.Log, time.Now))
	}
	r := &Redis{client: client, server: server}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := r.Ping(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Ping waits for one answer from the server; else *UnreachableError. With a
// Cluster it asks one node only.
func (r *Redis) Ping(ctx context.Context) error {
	if err := r.client.Ping(ctx).Err(); err != nil {
		return &UnreachableError{Server: r.server, Err: err}
	}
	return nil
}

// Close closes all connections. Leases held through them run out.
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil {
		return fmt.Errorf("close the connections to redis at %s: %w", r.server, err)
	}
	return nil
}

// Client is the library's client, for tests and for a doctor's questions.
func (r *Redis) Client() redis.UniversalClient { return r.client }

// Server is the address for messages, without user and password.
func (r *Redis) Server() string { return r.server }

// openRedis reads the URL and opens the kind of client it asks for.
func openRedis(o RedisOptions) (redis.UniversalClient, string, error) {
	u, err := url.Parse(o.URL)
	if err != nil { // the error of url.Parse quotes the URL, password and all
		return nil, "", errors.New("the redis url cannot be read: it must look like redis://host:6379/0")
	}
	fail := func(err error) (redis.UniversalClient, string, error) {
		return nil, "", fmt.Errorf("the redis url for %s cannot be used: %w", u.Host, err)
	}
	q := u.Query()
	switch {
	case q.Get("master_name") != "":
		opt, err := redis.ParseFailoverURL(o.URL)
		if err != nil {
			return fail(err)
		}
		settle(failoverSettings(opt), o.Password)
		return redis.NewFailoverClient(opt), opt.MasterName + " of sentinel " + strings.Join(opt.SentinelAddrs, ","), nil
	case len(q["addr"]) > 0:
		opt, err := redis.ParseClusterURL(o.URL)
		if err != nil {
			return fail(err)
		}
		settle(clusterSettings(opt), o.Password)
		return redis.NewClusterClient(opt), "cluster " + strings.Join(opt.Addrs, ","), nil
	default:
		opt, err := redis.ParseURL(o.URL)
		if err != nil {
			return fail(err)
		}
		settle(singleSettings(opt), o.Password)
		server := opt.Addr
		if opt.DB != 0 {
			server += "/" + strconv.Itoa(opt.DB)
		}
		return redis.NewClient(opt), server, nil
	}
}

// settings points at what the three kinds of options have in common.
type settings struct {
	password                          *string
	dial, read, write, poolWait       *time.Duration
	retries, pool, pipePool, protocol *int
	dialRetries                       *int
	byContext, noIdentity             *bool
	maintenance                       **maintnotifications.Config // nil: Sentinel has none
}

func singleSettings(o *redis.Options) settings {
	return settings{
		&o.Password, &o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout,
		&o.MaxRetries, &o.PoolSize, &o.PipelinePoolSize, &o.Protocol, &o.DialerRetries,
		&o.ContextTimeoutEnabled, &o.DisableIdentity, &o.MaintNotificationsConfig,
	}
}

func clusterSettings(o *redis.ClusterOptions) settings {
	return settings{
		&o.Password, &o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout,
		&o.MaxRetries, &o.PoolSize, &o.PipelinePoolSize, &o.Protocol, &o.DialerRetries,
		&o.ContextTimeoutEnabled, &o.DisableIdentity, &o.MaintNotificationsConfig,
	}
}

func failoverSettings(o *redis.FailoverOptions) settings {
	return settings{
		&o.Password, &o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout,
		&o.MaxRetries, &o.PoolSize, &o.PipelinePoolSize, &o.Protocol, &o.DialerRetries,
		&o.ContextTimeoutEnabled, &o.DisableIdentity, nil,
	}
}

// settle fills in what the URL left open. Bounds are short because a lease is
// trusted for seconds: a server that hangs must be found out well before.
func settle(s settings, password string) {
	if password != "" {
		*s.password = password
	}
	orDefault(s.dial, dialTimeout)
	orDefault(s.read, requestTimeout)
	orDefault(s.write, requestTimeout)
	orDefault(s.poolWait, requestTimeout)
	orDefault(s.pool, poolSize)
	orDefault(s.pipePool, -1)   // renewals share the pool: one pipeline every few seconds
	orDefault(s.protocol, 2)    // nothing here needs push messages
	orDefault(s.dialRetries, 1) // the callers here try again themselves
	*s.retries = -1             // none: see Redis
	*s.byContext = true         // or a server that hangs outlasts the caller's deadline
	*s.noIdentity = true
	if s.maintenance != nil {
		*s.maintenance = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
}

func orDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}
