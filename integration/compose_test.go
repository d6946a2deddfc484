package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCompose: the stack that the README starts, with three workers: a container is killed, one loses its networks, Redis and
// NATS are restarted, all is stopped with live sessions and started again. The same judge as everywhere has the last word.
func TestCompose(t *testing.T) {
	t.Parallel()
	if !*composeToo {
		t.Skip("the compose stack takes minutes and a Docker engine: make compose-test")
	}
	alone(t)
	p := newComposeProject(t)
	w := p.world()

	w.publish(newSession(), "hello, through the published port")
	stop := w.steadyTraffic(4)
	w.untilMore(20)

	p.fault("a worker's container is killed", w, func(id string) { p.run("docker", "kill", id) }, func(id string) { p.run("docker", "start", id) })
	p.fault("a worker is cut off its networks", w, p.cut, p.mend)
	for _, server := range []string{"redis", "nats"} {
		live := w.publish(newSession(), script("sleep 20s"), repeatable())
		p.untilStarted(w, live, 1)
		p.run(p.args("restart", server)...)
		after := w.publish(newSession(), "after the restart", repeatable())
		e := p.untilFinal(w, after)
		e2 := p.untilFinal(w, live)
		t.Logf("%s restarted: the next job of another session ended %s after its publish; the live run needed %d attempt(s)",
			server, e.At.Sub(after.At).Round(time.Millisecond), e2.Attempt)
	}
	stop()

	var live []*job
	for range 4 {
		j := w.publish(newSession(), script("term-exit 1 50ms", "@1 sleep 30m"), repeatable())
		p.untilStarted(w, j, 1)
		live = append(live, j, w.publish(j.Session, "the turn after it", repeatable()))
	}
	p.run(p.args("stop")...)
	for _, id := range p.workers {
		code := strings.TrimSpace(p.run("docker", "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", id))
		require.Equal(t, "exited 0", code, "a worker drains within its stop_grace_period\n%s", tail(p.logs(id), 3000))
	}
	p.up()
	for _, j := range live {
		p.untilFinal(w, j)
	}
	p.judge(w)
}

// world lets the harness of all scenarios look at the stack: through the ports that it publishes.
func (p *composeProject) world() *world {
	p.t.Helper()
	w := &world{t: p.t, ns: "curfew", dir: p.dir, stack: &stack{
		nats:  &natsServer{port: p.natsPort, userinfo: "curfew:" + composePassword + "@"},
		redis: &redisServer{port: p.redis, password: composePassword},
	}}
	require.NoError(p.t, os.Mkdir(filepath.Join(w.dir, "journal"), 0o700))
	w.connect()
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Log(w.state())
			for _, id := range p.workers {
				p.t.Logf("=== log of %s\n%s", id, tail(p.logs(id), dumpTail))
			}
		}
		w.nc.Close()
	})
	return w
}

// composePatience is for what a new container, a lease's end and a drain take, on a busy machine.
const composePatience = 6 * time.Minute

// fault hits the worker that has a live run: another must run it again, and the worker must come back.
func (p *composeProject) fault(name string, w *world, hit, heal func(container string)) {
	p.t.Helper()
	live := w.publish(newSession(), script("@1 sleep 30m"), repeatable())
	first := p.untilStarted(w, live, 1)
	at := slices.IndexFunc(p.workers, func(id string) bool { return strings.HasPrefix(first.Worker, id[:12]) })
	require.GreaterOrEqual(p.t, at, 0, "worker %s is one of the containers %v", first.Worker, p.workers)
	begin := time.Now()
	hit(p.workers[at])
	second := p.untilStarted(w, live, 2)
	require.NotEqual(p.t, first.Worker, second.Worker)
	p.t.Logf("%s: its session ran elsewhere after %s", name, second.At.Sub(begin).Round(100*time.Millisecond))
	heal(p.workers[at])
	p.untilHealthy(p.workers[at])
	p.untilFinal(w, live)
}

func (p *composeProject) networks() []string {
	p.t.Helper()
	return strings.Fields(p.run("docker", "network", "ls", "--format", "{{.Name}}", "--filter", "label=com.docker.compose.project="+p.name))
}

func (p *composeProject) cut(id string) {
	p.t.Helper()
	for _, n := range p.networks() {
		p.run("docker", "network", "disconnect", n, id)
	}
}

func (p *composeProject) mend(id string) {
	p.t.Helper()
	for _, n := range p.networks() {
		p.run("docker", "network", "connect", n, id)
	}
}

func (p *composeProject) untilStarted(w *world, j *job, n int) event {
	p.t.Helper()
	w.until(composePatience, func() bool { return len(w.eventsOf(j, "started")) >= n }, "run %d of job %s", n, j.Name)
	return w.eventsOf(j, "started")[n-1]
}

func (p *composeProject) untilFinal(w *world, j *job) event {
	p.t.Helper()
	var last event
	w.until(composePatience, func() bool {
		var ok bool
		last, ok = w.final(j)
		return ok
	}, "the final event of job %s", j.Name)
	return last
}

// judge takes the history out of the stack.
func (p *composeProject) judge(w *world) {
	p.t.Helper()
	for _, j := range w.jobs {
		p.untilFinal(w, j)
	}
	w.until(composePatience, func() bool { return w.rest().clean() }, "streams and leases are empty: %+v", w.rest())
	p.journals(filepath.Join(w.dir, "journal"))
	h := history{Jobs: w.jobs, Entries: w.entries(), Events: w.readEvents(), Letters: w.readLetters(), Rest: w.rest(), Logs: map[string]string{}}
	for _, id := range p.workers {
		h.Logs[id] = p.logs(id)
	}
	broken := judge(h)
	require.Empty(p.t, broken, "the history breaks its promises:\n%s", strings.Join(broken, "\n"))
	p.t.Logf("%d jobs, %d runs, nothing broken", len(h.Jobs), len(runsOf(h.Entries)))
}
