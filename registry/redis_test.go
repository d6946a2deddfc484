package registry

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

func TestRedisURL(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url, server string
		check       func(*testing.T, redis.UniversalClient)
	}{
		"single": {"redis://me:geheim@h:1/3", "h:1/3", func(t *testing.T, c redis.UniversalClient) {
			t.Helper()
			o := c.(*redis.Client).Options()
			require.Equal(t, "override", o.Password)
			require.Equal(t, "me", o.Username)
			require.Equal(t, 3, o.DB)
			require.True(t, o.ContextTimeoutEnabled)
			require.Equal(t, dialTimeout, o.DialTimeout)
			require.Zero(t, o.MaxRetries, "the library must not send a release twice")
			require.Equal(t, poolSize, o.PoolSize)
		}},
		"tls": {"rediss://h:1", "h:1", func(t *testing.T, c redis.UniversalClient) {
			t.Helper()
			require.NotNil(t, c.(*redis.Client).Options().TLSConfig)
		}},
		"socket": {"unix:///tmp/redis.sock", "/tmp/redis.sock", func(*testing.T, redis.UniversalClient) {}},
		"own settings": {"redis://h:1?pool_size=7&read_timeout=3s&max_retries=5", "h:1", func(t *testing.T, c redis.UniversalClient) {
			t.Helper()
			o := c.(*redis.Client).Options()
			require.Equal(t, 7, o.PoolSize)
			require.Equal(t, 3*time.Second, o.ReadTimeout)
			require.Zero(t, o.MaxRetries)
		}},
		"sentinel": {"redis://:geheim@h:1/2?master_name=m&addr=i:2&password=geheim", "m of sentinel h:1,i:2", func(t *testing.T, c redis.UniversalClient) {
			t.Helper()
			o := c.(*redis.Client).Options()
			require.Equal(t, "override", o.Password)
			require.Equal(t, 2, o.DB)
			require.Zero(t, o.MaxRetries)
		}},
		"cluster": {"redis://:geheim@h:1?addr=i:2", "cluster h:1,i:2", func(t *testing.T, c redis.UniversalClient) {
			t.Helper()
			o := c.(*redis.ClusterClient).Options()
			require.Equal(t, "override", o.Password)
			require.True(t, o.ContextTimeoutEnabled)
			require.LessOrEqual(t, o.MaxRetries, 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server, err := openRedis(RedisOptions{URL: c.url, Password: "override"})
			require.NoError(t, err)
			defer func() { _ = client.Close() }()
			require.Equal(t, c.server, server)
			c.check(t, client)
		})
	}
}

func TestRedisURLWrong(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "h:1", "http://me:geheim@h:1", "redis://me:geheim@h:1/x", "redis://me:geheim@h:1/%zz", "redis://me:geheim@h:x",
		"redis://me:geheim@h:1?no_such_setting=1", "redis://me:geheim@h/x?master_name=m", "redis://me:geheim@h?addr=i&nonsense=1",
	} {
		_, err := ConnectRedis(t.Context(), RedisOptions{URL: url})
		require.Error(t, err, url)
		require.NotContains(t, err.Error(), "geheim")
	}
}

func TestRedisUnreachable(t *testing.T) {
	t.Parallel()
	addr := "127.0.0.1:" + freePort(t)
	_, err := ConnectRedis(t.Context(), RedisOptions{URL: "redis://me:geheim@" + addr, Log: quietLog()})
	var unreachable *UnreachableError
	require.ErrorAs(t, err, &unreachable)
	require.Equal(t, addr, unreachable.Server)
	require.NotContains(t, err.Error(), "geheim")

	p := startProxy(t, addr) // accepts and says nothing
	p.silence()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	from := time.Now()
	_, err = ConnectRedis(ctx, RedisOptions{URL: "redis://" + p.addr, Log: quietLog()})
	require.ErrorAs(t, err, &unreachable)
	require.Less(t, time.Since(from), 4*time.Second, "ctx is heeded")
}

func TestLibraryLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	now := time.Unix(1, 0)
	l := newLibraryLog(logrus.NewEntry(log), func() time.Time { return now })
	for range 35 {
		l.Printf(t.Context(), "dial %s\n", "refused")
	}
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), "refused")
	now = now.Add(libraryLogEvery)
	l.Printf(t.Context(), "again")
	require.Equal(t, 2, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), "skipped=34")
}

func TestTerms(t *testing.T) {
	t.Parallel()
	require.NoError(t, DefaultTerms().Validate())
	require.Equal(t, 13*time.Second, DefaultTerms().Trust())
	for _, wrong := range []Terms{
		{},
		{TTL: 50 * time.Millisecond, Renew: time.Millisecond, Margin: time.Millisecond},
		{TTL: time.Second, Renew: 300 * time.Millisecond},
		{TTL: time.Second, Renew: 300 * time.Millisecond, Margin: time.Second},
		{TTL: 15 * time.Second, Margin: 2 * time.Second},
		{TTL: 15 * time.Second, Renew: 7 * time.Second, Margin: 2 * time.Second},
	} {
		require.Error(t, wrong.Validate(), "%+v", wrong)
	}
}

func TestBootTime(t *testing.T) {
	t.Parallel()
	a := BootNow()
	b := a.Add(time.Hour)
	require.Equal(t, time.Hour, b.Sub(a))
	require.InDelta(t, time.Hour, b.Left(), float64(10*time.Second))
	require.Negative(t, BootTime(0).Left())
	require.GreaterOrEqual(t, BootNow(), a)
}
