package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPageLives: what a person with a browser sees of a fleet, without touching anything.
func TestPageLives(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	share(t)
	port, err := freePort()
	require.NoError(t, err)
	w := newWorld(t, sharedStack(t), patientLease, func(c *config) {
		c.HTTP.Listen = hostPort(port)
		c.Retry.Backoff, c.Retry.MaxBackoff = "10m", "10m"
		c.Worker.Concurrency = 3
		c.Worker.DrainTimeout = "1s"
	})
	// Its own on this host: workers end what dead ones of their names have left.
	named := func(name string) workerOptions {
		return workerOptions{args: []string{"--worker-id", w.ns + "-" + name}}
	}
	first := w.worker("w1", named("w1"))
	gate, gates := w.gate("one"), w.gate("others")
	live := w.publish(newSession(), script("await "+gate))
	old := w.publish(newSession(), script("await "+gates), createdAgo(3*time.Hour+20*time.Minute))
	oldest := w.publish(newSession(), script("await "+gates), createdAgo(3*time.Hour+50*time.Minute))
	for _, j := range []*job{live, old, oldest} {
		w.untilStart(j, 1)
	}

	b := w.browse()
	b.visit("http://" + hostPort(port) + "/")
	for _, j := range []*job{live, old, oldest} {
		b.until("a running session", row(j.Session, " .state")+`?.textContent == "running"`)
	}
	require.Equal(t, w.ns+"-w1", value[string](b, row(live.Session, ` [data-label="Worker"]`)+".textContent"))
	require.Equal(t, []string{oldest.Session, old.Session, live.Session},
		value[[]string](b, `[...document.querySelectorAll('#session-rows tbody tr')].map(r => r.dataset.key)`), "the nearest curfew first")

	// Rows appear, with their state.
	queued := w.publish(newSession(), script("exit 0"))
	b.until("a queued session", row(queued.Session, " .state")+`?.textContent == "idle"`)

	// The age changes in place: the element, the focus and the place on the page stay.
	b.act(row(live.Session, "") + `.marked = true; document.getElementById("pause").focus(); scrollTo(0, 120)`)
	before := value[float64](b, row(live.Session, " meter")+".value")
	b.until("the age grows", fmt.Sprintf("%s.value > %v", row(live.Session, " meter"), before))
	require.True(t, value[bool](b, row(live.Session, "")+`.marked === true && document.activeElement.id == "pause"`))
	require.InDelta(t, 120, value[float64](b, "scrollY"), 1)
	require.InDelta(t, 4*60*60, value[float64](b, row(live.Session, " meter")+".max"), 0)

	// A state changes, and a finished session leaves: for the recent ends.
	w.open(gate)
	w.untilFinal(live, queued)
	b.until("a finished session leaves", "!"+row(live.Session, "")+" && !"+row(queued.Session, ""))
	b.until("it is among the recent ends", fmt.Sprintf(`document.querySelector('[data-key=ends] tr[data-key=%q] .state')?.textContent == "succeeded"`, live.Session))
	failing := w.publish(newSession(), script("exit 1"))
	b.until("a session in backoff", row(failing.Session, " .state")+`?.textContent == "backoff"`)
	w.publish(newSession(), script("await "+gates))
	w.publish(newSession(), script("await "+gates))
	hostile := w.publish(newSession(), "x", forAgent(`<img src=x onerror="document.title='owned'">`), wants("invalid", "expired"))
	b.until("a session with a hostile agent", row(hostile.Session, ""))

	b.shoot("page-light", "light", 1200)
	b.shoot("page-dark", "dark", 1200)
	b.shoot("page-narrow-light", "light", 400)
	require.LessOrEqual(t, value[float64](b, "document.documentElement.scrollWidth"), 400.0, "no scrolling sideways")
	b.shoot("page-narrow-dark", "dark", 400)

	// Paused, it stands still; it goes on where it was.
	b.act(`document.getElementById("pause").click()`)
	require.Equal(t, "true", value[string](b, `document.getElementById("pause").getAttribute("aria-pressed")`))
	b.act(`document.getElementById("pause").click()`)

	// A halt is on top of everything, with its reason as text.
	w.must("halt", "--reason", "<b>runaway</b> spend")
	b.until("that the fleet is halted", `document.querySelector('#live .halt')?.textContent.includes("<b>runaway</b> spend")`)
	b.shoot("page-halted-light", "light", 1200)
	b.shoot("page-halted-dark", "dark", 1200)
	w.must("unhalt")
	b.until("that it is not halted any more", `!document.querySelector('#live .halt')`)

	// The worker goes away and comes back; nobody reloads the page.
	b.act(`window.marked = true`)
	w.stop(first)
	b.until("it says that the worker is away", `!document.getElementById("away").hidden`)
	b.shoot("page-away", "light", 1200)
	w.worker("w2", named("w2"))
	b.until("it recovers", `document.getElementById("away").hidden`)
	b.until("the sessions are there again", row(oldest.Session, " .state")+`?.textContent == "running"`)
	require.True(t, value[bool](b, "window.marked === true"), "it is still the same page")
	require.NotEqual(t, "owned", value[string](b, "document.title"))
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.problems)
}
