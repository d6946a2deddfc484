package integration

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// TestAlerts: each rule of docs/alerts.yml asks for metrics and outcomes that a worker has, and docs/operations.md explains it.
func TestAlerts(t *testing.T) {
	t.Parallel()
	share(t)
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.UnmarshalWithOptions([]byte(document(t, "alerts.yml")), &rules, yaml.AllowDuplicateMapKey()))
	require.Len(t, rules.Groups, 1)
	require.NotEmpty(t, rules.Groups[0].Rules)

	port, err := freePort()
	require.NoError(t, err)
	w := newWorld(t, sharedStack(t), func(c *config) { c.HTTP.Listen = hostPort(port) })
	x := w.worker("w1")
	w.untilFinal(w.publish(newSession(), "exit 0"))
	metrics := get(t, "http://"+hostPort(port)+"/metrics")

	manual := document(t, "operations.md")
	metric, outcomes := regexp.MustCompile(`curfew_\w+`), regexp.MustCompile(`outcome=~?"([^"]+)"`)
	for _, r := range rules.Groups[0].Rules {
		require.Contains(t, manual, "| `"+r.Alert+"` |", "docs/operations.md says nothing of this alert")
		require.Contains(t, []string{"page", "warning", "info"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		names := metric.FindAllString(r.Expr, -1)
		require.NotEmpty(t, names, r.Alert)
		for _, name := range names {
			require.Regexp(t, `(?m)^`+name+`[{ ]`, metrics, "alert %s asks for it", r.Alert)
		}
		for _, found := range outcomes.FindAllStringSubmatch(r.Expr, -1) {
			for outcome := range strings.SplitSeq(found[1], "|") {
				require.Contains(t, metrics, `outcome="`+outcome+`"`, "alert %s asks for it", r.Alert)
			}
		}
	}
	for _, name := range metric.FindAllString(document(t, "http.md"), -1) {
		require.Regexp(t, `(?m)^`+name+`(_bucket|_sum|_count)?[{ ]`, metrics, "docs/http.md names it")
	}
	w.stop(x)
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s", text)
	return string(text)
}

// TestDocumentedCommands: every command and flag that the documentation shows exists.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	share(t)
	bin, err := lab.curfewTest()
	require.NoError(t, err)
	help := map[string]string{}
	command := regexp.MustCompile("(?m)(?:`|^|\\| )curfew((?: [a-z]+)+)([^`\n|]*)")
	flag := regexp.MustCompile(`--[a-z-]+`)
	checked := 0
	for _, name := range []string{"operations.md", "protocol.md", "http.md", "agents.md", "../README.md"} {
		for _, found := range command.FindAllStringSubmatch(document(t, name), -1) {
			words := strings.Fields(found[1])
			if groups := []string{"dead", "workers", "config", "agents"}; slices.Contains(groups, words[0]) && len(words) > 1 {
				words = words[:2]
			} else {
				words = words[:1]
			}
			key := strings.Join(words, " ")
			if _, ok := help[key]; !ok {
				text, err := exec.CommandContext(t.Context(), bin, append(words, "--help")...).CombinedOutput()
				require.NoError(t, err, "%s: curfew %s: %s", name, key, text)
				require.Contains(t, string(text), "curfew "+key, "%s: curfew %s is no command of its own", name, key)
				help[key] = string(text)
			}
			for _, f := range flag.FindAllString(found[2], -1) {
				require.Contains(t, help[key], f, "%s: curfew %s%s", name, key, found[2])
			}
			checked++
		}
	}
	require.Greater(t, checked, 30, "the documentation was not understood")
	t.Logf("%d places show %d commands", checked, len(help))
}

// TestUnit: systemd takes the unit of docs/operations.md, and it waits longer than a drain may last.
func TestUnit(t *testing.T) {
	t.Parallel()
	share(t)
	unit := block(t, "operations.md", "ini", "# curfew-worker.service")
	bin, err := lab.curfewTest()
	require.NoError(t, err)
	var stop int
	_, rest, found := strings.Cut(unit, "\nTimeoutStopSec=")
	require.True(t, found)
	_, err = fmt.Sscan(rest, &stop)
	require.NoError(t, err)
	drain, grace := defaultTimes(t, bin)
	require.Greater(t, time.Duration(stop)*time.Second, drain+grace)

	var pod struct {
		Spec struct {
			Template struct {
				Spec struct {
					TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(block(t, "operations.md", "yaml", "# worker.yaml, the parts that matter")), &pod))
	require.Greater(t, time.Duration(pod.Spec.Template.Spec.TerminationGracePeriodSeconds)*time.Second, drain+grace)

	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("the rest is systemd-analyze's, which is not in PATH")
	}
	file := filepath.Join(t.TempDir(), "curfew-worker.service")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(unit, "/usr/local/bin/curfew", bin, 1)), 0o600))
	text, err := exec.CommandContext(t.Context(), verify, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
	require.NoError(t, err, "%s", text)
	require.NotContains(t, string(text), "curfew-worker.service", "systemd has something to say")
}

// defaultTimes are worker.drain_timeout and an agent's grace, as the program's own example has them.
func defaultTimes(t *testing.T, bin string) (drain, grace time.Duration) {
	t.Helper()
	example, err := exec.CommandContext(t.Context(), bin, "config", "example").Output()
	require.NoError(t, err)
	var c config
	require.NoError(t, yaml.Unmarshal(example, &c))
	drain, err = time.ParseDuration(c.Worker.DrainTimeout)
	require.NoError(t, err)
	grace, err = time.ParseDuration(c.Agents["default"].Grace)
	require.NoError(t, err)
	return drain, grace
}
