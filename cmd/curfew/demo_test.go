package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 15 seconds")
	}
	r := begin(t, "", nil, "demo").wait(t)
	require.Equal(t, 0, r.code, r.out+r.err)
	require.NotContains(t, r.out, "FAIL")
	require.NotContains(t, r.out, "\x1b", "no colors where nobody looks")
	require.Contains(t, r.out, "checks held")
	for i := range acts() {
		require.Contains(t, r.out, acts()[i].title)
	}
}

func TestDev(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	environ := []string{"HOME=" + dir, "XDG_RUNTIME_DIR=" + dir}
	data := filepath.Join(dir, "data")
	dev := begin(t, "", environ, "dev", "--data", data, "--http-listen", "")
	dev.says(t, "worker ready")
	dev.says(t, "publish new")

	second := begin(t, "", environ, "dev", "--data", data, "--http-listen", "").wait(t)
	require.Equal(t, 1, second.code)
	require.Contains(t, second.err, "in use")

	// The line that it prints can be copied.
	line := strings.TrimSpace(between(dev.out.String(), "In another terminal:\n", "\n"))
	args := strings.Fields(strings.ReplaceAll(line, `"`, ""))[1:]
	r := begin(t, "", environ, args...).wait(t)
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "you said: hello")

	dev.signals <- sigint
	require.Equal(t, 0, dev.wait(t).code)
}
