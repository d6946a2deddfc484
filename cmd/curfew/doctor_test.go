package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"curfew/cmd/internal/doctor"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	file := filepath.Join(p.dir, "curfew.yaml")
	configured := func(program string) {
		t.Helper()
		require.NoError(t, os.WriteFile(file, []byte("agents:\n  default: {command: ["+program+"]}\n"), 0o600))
	}
	configured("/bin/sh")
	healthy := begin(t, "", p.environ, "doctor", "--accept", "cgroup").wait(t)
	require.Zero(t, healthy.code, "%s%s", healthy.out, healthy.err)
	require.NotContains(t, healthy.out, "FAIL")

	configured("/nowhere/agent")
	ill := begin(t, "", p.environ, "doctor").wait(t)
	require.Equal(t, exitFailed, ill.code)
	require.Regexp(t, `(?m)^FAIL  agents +agent default: program "/nowhere/agent" not found`, ill.out)
	require.Contains(t, ill.out, "-> install /nowhere/agent")

	asJSON := begin(t, "", p.environ, "doctor", "-o", "json").wait(t)
	require.Equal(t, exitFailed, asJSON.code)
	var got diagnosis
	require.NoError(t, json.Unmarshal([]byte(asJSON.out), &got))
	require.False(t, got.OK)
	names := make([]string, len(got.Checks))
	for i, f := range got.Checks {
		names[i] = f.Name
		require.NotEmpty(t, f.Seen)
	}
	require.Equal(t, doctor.Names(), names)

	accepted := begin(t, "", p.environ, "doctor", "--accept", "cgroup,agents").wait(t)
	require.Zero(t, accepted.code)
	require.Contains(t, accepted.out, "warn  agents")

	unknown := begin(t, "", p.environ, "doctor", "--accept", "weather").wait(t)
	require.Equal(t, exitUsage, unknown.code)
}

// Nothing to talk to: it says so within seconds.
func TestDoctorWithoutServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	environ := []string{
		"CURFEW_NATS_URL=nats://127.0.0.1:1", "CURFEW_REDIS_URL=redis://127.0.0.1:1/0", "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir,
		"CURFEW_CONFIG=" + filepath.Join(dir, "none.yaml"),
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "none.yaml"), nil, 0o600))
	r := begin(t, "", environ, "doctor").wait(t)
	require.Equal(t, exitFailed, r.code)
	require.Regexp(t, `(?m)^FAIL  nats +.*127\.0\.0\.1:1`, r.out)
	require.Regexp(t, `(?m)^FAIL  redis +.*127\.0\.0\.1:1`, r.out)
	require.GreaterOrEqual(t, strings.Count(r.out, "not checked"), 8)
}
