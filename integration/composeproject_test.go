package integration

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

const (
	composePassword = "development" // what docker-compose.yml has when nobody says otherwise
	composeJournal  = "/home/curfew/journal"
	composeWitness  = "/usr/local/bin/witness"
)

// composeProject is docker-compose.yml under a name, ports and an image of its own, with the witness as its agent.
type composeProject struct {
	t        *testing.T
	name     string
	dir      string
	compose  []string // the program and its first arguments
	natsPort int
	redis    int
	workers  []string // container ids
	standIns []string // images of stand-ins, and built on them, that were there before
}

// needDocker skips where no engine answers or no Compose is there.
func needDocker(t *testing.T) []string {
	t.Helper()
	skip := func(format string, args ...any) {
		t.Helper()
		if strings.Contains(os.Getenv("CURFEW_TEST_REQUIRE"), "docker") {
			t.Fatalf(format, args...)
		}
		t.Skipf(format, args...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "info").CombinedOutput(); err != nil {
		skip("the compose stack is left out: no Docker engine answers (docker info: %v: %s)", err, tail(strings.TrimSpace(string(out)), 200))
	}
	for _, try := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.CommandContext(ctx, try[0], append(try[1:], "version")...).Run() == nil {
			return try
		}
	}
	skip("the compose stack is left out: neither docker compose nor docker-compose is installed")
	return nil
}

func newComposeProject(t *testing.T) *composeProject {
	t.Helper()
	p := &composeProject{t: t, compose: needDocker(t), name: fmt.Sprintf("curfewtest%08x", rand.Uint32()), dir: t.TempDir()}
	made := p.run("../.ci/base-images")
	t.Cleanup(func() {
		if strings.TrimSpace(made) != "" {
			p.try("../.ci/base-images", "rm")
		}
	})
	p.standIns = p.standInImages()
	p.run(append(slices.Clone(p.compose), "-f", "../docker-compose.yml", "build")...) // it takes minutes: a port that is free now might not be then
	var err error
	p.natsPort, err = freePort()
	require.NoError(t, err)
	p.redis, err = freePort()
	require.NoError(t, err)
	p.writeFiles()
	t.Cleanup(p.down)
	p.up()
	return p
}

// writeFiles makes what is mounted over the project's own files: the witness, and the configuration with it as the agent.
// Everything else is as in the repository.
func (p *composeProject) writeFiles() {
	p.t.Helper()
	witness := filepath.Join(p.dir, "witness")
	build := exec.CommandContext(p.t.Context(), "go", "test", "-c", "-buildvcs=false", "-o", witness, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // static: it runs in whatever image
	out, err := build.CombinedOutput()
	require.NoError(p.t, err, "%s", out)

	text, err := os.ReadFile("../compose.curfew.yaml")
	require.NoError(p.t, err)
	var conf map[string]any
	require.NoError(p.t, yaml.Unmarshal(text, &conf))
	conf["agents"] = map[string]any{"default": map[string]any{
		"command": []string{composeWitness},
		"env":     map[string]any{"set": map[string]string{witnessEnv: composeJournal}},
		"grace":   "3s",
	}}
	p.writeYAML("curfew.yaml", conf)
	p.writeYAML("override.yaml", map[string]any{"services": map[string]any{
		"redis": map[string]any{"ports": []string{fmt.Sprintf("127.0.0.1:%d:6379", p.redis)}}, // for the judge's last look
		"worker": map[string]any{"volumes": []string{
			filepath.Join(p.dir, "curfew.yaml") + ":/etc/curfew/curfew.yaml:ro",
			witness + ":" + composeWitness + ":ro",
		}},
	}})
}

func (p *composeProject) writeYAML(name string, value any) {
	p.t.Helper()
	text, err := yaml.Marshal(value)
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, name), text, 0o644)) //nolint:gosec // the container's user reads it
}

func (p *composeProject) image() string { return "curfew:" + p.name }

func (p *composeProject) env() []string {
	env := map[string]string{
		"COMPOSE_PROJECT_NAME": p.name, "CURFEW_IMAGE": p.image(), "CURFEW_NATS_PORT": fmt.Sprint(p.natsPort),
		"CURFEW_NATS_PASSWORD": composePassword, "CURFEW_REDIS_PASSWORD": composePassword,
	}
	out := os.Environ()
	for key := range maps.Keys(env) {
		out = append(out, key+"="+env[key])
	}
	return out
}

// commandBound bounds every single command: a build on two busy cores takes minutes.
const commandBound = 20 * time.Minute

func (p *composeProject) exec(ctx context.Context, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var stderr strings.Builder
	cmd.Env, cmd.Stderr = p.env(), &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), err, tail(string(out), 4000), tail(stderr.String(), 4000))
	}
	return string(out), err
}

// run runs a command that has to work, and answers what it printed.
func (p *composeProject) run(args ...string) string {
	p.t.Helper()
	out, err := p.exec(p.t.Context(), args)
	require.NoError(p.t, err)
	return out
}

// try is for what is cleaned up: the test's own context is over by then.
func (p *composeProject) try(args ...string) {
	p.t.Helper()
	if _, err := p.exec(context.Background(), args); err != nil {
		p.t.Errorf("cleaning up: %v", err)
	}
}

func (p *composeProject) args(more ...string) []string {
	files := []string{"-f", "../docker-compose.yml", "-f", filepath.Join(p.dir, "override.yaml")}
	return append(append(append([]string{}, p.compose...), files...), more...)
}

// up starts everything, built from the checkout, and waits until every container is healthy.
func (p *composeProject) up() {
	p.t.Helper()
	p.run(p.args("up", "-d", "--build", "--scale", "worker=3")...)
	p.workers = strings.Fields(p.run(p.args("ps", "-q", "worker")...))
	require.Len(p.t, p.workers, 3)
	for _, id := range p.containers() {
		p.untilHealthy(id)
	}
}

func (p *composeProject) containers() []string {
	p.t.Helper()
	return strings.Fields(p.run("docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", "label=com.docker.compose.project="+p.name))
}

func (p *composeProject) untilHealthy(id string) {
	p.t.Helper()
	state := func() string {
		return strings.TrimSpace(p.run("docker", "inspect", "--format", "{{.State.Health.Status}}", id))
	}
	end := time.Now().Add(5 * time.Minute)
	for state() != "healthy" {
		require.True(p.t, time.Now().Before(end), "container %s is not healthy: %s\n%s", id, state(), p.logs(id))
		<-time.After(500 * time.Millisecond)
	}
}

func (p *composeProject) logs(id string) string {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), "docker", "logs", id).CombinedOutput()
	require.NoError(p.t, err, "%s", out)
	return string(out)
}

// standInImages are the images with the label of a stand-in, which what is built on one inherits.
func (p *composeProject) standInImages() []string {
	p.t.Helper()
	out, err := p.exec(context.WithoutCancel(p.t.Context()), []string{"docker", "images", "--all", "--quiet", "--no-trunc", "--filter", "label=curfew.stand-in"})
	require.NoError(p.t, err)
	return strings.Fields(out)
}

// down removes containers, networks and volumes by the project's name, the image by its own, and what its build left behind.
func (p *composeProject) down() {
	p.t.Helper()
	p.try(p.args("down", "--volumes", "--remove-orphans", "--timeout", "5")...)
	if exec.CommandContext(context.Background(), "docker", "image", "inspect", p.image()).Run() == nil {
		p.try("docker", "rmi", "--force", p.image())
	}
	for round, gone := 0, true; gone && round < 20; round++ { // what is built on an image has to go before it
		gone = false
		for _, id := range p.standInImages() {
			if !slices.Contains(p.standIns, id) {
				_, err := p.exec(context.Background(), []string{"docker", "rmi", "--force", id})
				gone = gone || err == nil
			}
		}
	}
}

// journals copies what the witnesses wrote out of the shared volume.
func (p *composeProject) journals(into string) {
	p.t.Helper()
	p.run("docker", "cp", p.workers[0]+":"+composeJournal+"/.", into)
}
