package console_test

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"curfew/cmd/internal/console"
)

func serve(t *testing.T, o console.Options, more ...prometheus.Collector) *console.Server {
	t.Helper()
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	yes := func() bool { return true }
	o.Metrics = console.NewMetrics(console.Sources{
		NATSUp: yes, RedisUp: func() bool { return false }, Live: func() int { return 3 },
		Slots: func() (busy, all int) { return 1, 4 }, More: more,
	})
	o.Log = logrus.NewEntry(logrus.New())
	s, err := console.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close(t.Context()) })
	return s
}

func get(t *testing.T, s *console.Server, path string, change ...func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
	require.NoError(t, err)
	for _, c := range change {
		c(req)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestHealthAndReadiness(t *testing.T) {
	t.Parallel()
	var why atomic.Pointer[error]
	s := serve(t, console.Options{Listen: "127.0.0.1:0", Ready: func() error {
		if err := why.Load(); err != nil {
			return *err
		}
		return nil
	}})
	code, _ := get(t, s, "/readyz")
	require.Equal(t, 200, code)
	gone := errors.New("Redis is away")
	why.Store(&gone)
	code, body := get(t, s, "/readyz")
	require.Equal(t, 503, code)
	require.Contains(t, body, "Redis is away")
	code, _ = get(t, s, "/healthz")
	require.Equal(t, 200, code, "alive all the same")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	_, body := get(t, serve(t, console.Options{Listen: "127.0.0.1:0"}), "/metrics")
	for _, line := range []string{"curfew_nats_up 1", "curfew_redis_up 0", "curfew_live_sessions 3", "go_goroutines"} {
		require.Contains(t, body, line)
	}
}

func TestWhoIsAnswered(t *testing.T) {
	t.Parallel()
	open := serve(t, console.Options{Listen: "127.0.0.1:0"})
	wide := serve(t, console.Options{Listen: "0.0.0.0:0", Token: "s3cret", Hosts: []string{"worker-1"}})
	for _, c := range []struct {
		name   string
		server *console.Server
		host   string
		token  string
		want   int
	}{
		{"loopback by address", open, "127.0.0.1:8411", "", 200},
		{"loopback by name", open, "localhost", "", 200},
		{"loopback under a foreign name", open, "evil.example:8411", "", 421},
		{"loopback under a foreign address", open, "10.0.0.7", "", 421},
		{"beyond loopback without a token", wide, "127.0.0.1", "", 401},
		{"with a wrong token", wide, "127.0.0.1", "Bearer s3creT", 401},
		{"with a prefix of the token", wide, "127.0.0.1", "Bearer s3cre", 401},
		{"with another scheme", wide, "127.0.0.1", "Basic s3cret", 401},
		{"with the token", wide, "127.0.0.1", "Bearer s3cret", 200},
		{"by its configured name", wide, "worker-1:8411", "Bearer s3cret", 200},
		{"by another name", wide, "evil.example", "Bearer s3cret", 421},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
				code, body := get(t, c.server, path, func(r *http.Request) {
					r.Host = c.host
					if c.token != "" {
						r.Header.Set("Authorization", c.token)
					}
				})
				require.Equal(t, c.want, code, "%s: %s", path, body)
			}
		})
	}
}

func TestNothingBeyondLoopbackWithoutAToken(t *testing.T) {
	t.Parallel()
	_, err := console.Start(t.Context(), console.Options{Listen: "0.0.0.0:0"})
	require.ErrorIs(t, err, console.ErrToken)
}

func TestCloseEndsIt(t *testing.T) {
	t.Parallel()
	s := serve(t, console.Options{Listen: "127.0.0.1:0"})
	s.Close(t.Context())
	client := http.Client{Timeout: time.Second}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/healthz", nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	require.Error(t, err)
}
