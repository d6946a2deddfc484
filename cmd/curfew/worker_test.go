package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"
)

func TestAWorkerDrains(t *testing.T) {
	t.Parallel()
	p, w := newFleet(t)
	session := newSession()
	p.publish(t, session, "sleep 500ms")
	p.runs(t, session)
	w.signals <- sigterm
	w.says(t, "a second signal")
	r := w.wait(t)
	require.Equal(t, 0, r.code)
	row := p.row(t, session)
	require.Equal(t, "succeeded", row["last_outcome"], "the live run was let finish")
}

func TestASecondSignalHandsBack(t *testing.T) {
	t.Parallel()
	p, w := newFleet(t)
	session := newSession()
	p.publish(t, session, "sleep 1m")
	p.runs(t, session)
	w.signals <- sigterm
	w.signals <- sigint
	began := time.Now()
	require.Equal(t, 0, w.wait(t).code)
	require.Less(t, time.Since(began), 25*time.Second)
	row := p.row(t, session)
	require.EqualValues(t, 1, row["waiting"], "its job waits for another worker")
	require.Equal(t, "idle", row["state"])

	p.worker(t)
	p.runs(t, session)
}

func TestASignalDuringTheStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, demoAgents)
	w := begin(t, "", p.environ, "worker")
	w.signals <- sigterm
	require.Equal(t, 0, w.wait(t).code)
}

func TestAWorkersHTTP(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, demoAgents)
	redis := miniredis.NewMiniRedis()
	require.NoError(t, redis.Start())
	t.Cleanup(redis.Close)
	p.environ = append(p.environ, "CURFEW_REDIS_URL=redis://"+redis.Addr())
	w := p.worker(t, "--http-listen", "127.0.0.1:0", "--log-level", "debug")
	w.says(t, "HTTP is listening")
	address := between(w.err.String(), `"address":"`, `"`)
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	code, body := get("/readyz")
	require.Equal(t, 200, code, body)
	_, metrics := get("/metrics")
	require.Contains(t, metrics, "curfew_nats_up 1")
	require.Contains(t, metrics, "curfew_redis_up 1")

	redis.Close()
	code, body = get("/readyz")
	require.Equal(t, 503, code)
	require.Contains(t, body, "redis", "with the reason")
	_, metrics = get("/metrics")
	require.Contains(t, metrics, "curfew_redis_up 0")
	p.stack.Close()
	require.Eventually(t, func() bool { code, body = get("/readyz"); return code == 503 && strings.Contains(body, "NATS") }, 60*time.Second, 20*time.Millisecond)
	code, _ = get("/healthz")
	require.Equal(t, 200, code)
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// What a subprocess sees of the worker's environment is what its agent's configuration passes, and nothing else.
func TestASubprocessSeesNoSecrets(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(t, `
agents:
  default: {command: [env], env: {pass: [PATH, NOT_THERE], set: {LANG: C.UTF-8}}}
`)
	p.environ = append(p.environ, "CURFEW_NATS_PASSWORD=hunter2", "CURFEW_NATS_USER=me", "AWS_SECRET_ACCESS_KEY=hunter2")
	p.worker(t)
	r := p.run(t, "publish", "new", "x", "--wait")
	require.Equal(t, 0, r.code, r.err)
	for line := range strings.Lines(r.out) {
		name, _, _ := strings.Cut(line, "=")
		require.Contains(t, []string{
			"PATH", "LANG", "CURFEW_SESSION", "CURFEW_JOB", "CURFEW_ATTEMPT", "CURFEW_FENCE", "CURFEW_DEADLINE",
			"CURFEW_CREATED_AT", "CURFEW_WORKER", "TMPDIR",
		}, name)
	}
	require.Contains(t, r.out, "LANG=C.UTF-8")
	require.NotContains(t, r.out, "hunter2")
}

func TestOtherLeaseTermsAreRefused(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	p.environ = append(p.environ, "CURFEW_LEASE_TTL=20s")
	r := p.run(t, "worker")
	require.Equal(t, 2, r.code, r.err)
	require.Contains(t, r.err, "20s")
	require.Contains(t, r.err, "15s")
}
