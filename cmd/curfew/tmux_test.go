package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// terminal is a tmux server of its own with one pane, in which a shell runs.
type terminal struct {
	t      *testing.T
	socket string
	raw    string // file with every byte that the pane was sent
}

// newTerminal opens one of the given size.
func newTerminal(t *testing.T, columns, rows int) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if strings.Contains(os.Getenv("CURFEW_TEST_REQUIRE"), "tmux") {
			t.Fatal("CURFEW_TEST_REQUIRE asks for tmux and it is not in PATH: install it")
		}
		t.Skip("tmux is not here: what a terminal shows is not looked at")
	}
	dir, err := os.MkdirTemp("", "tmux") //nolint:usetesting // the path of a socket must be short
	require.NoError(t, err)
	x := &terminal{t: t, socket: filepath.Join(dir, "s"), raw: filepath.Join(dir, "raw")}
	t.Cleanup(func() { _ = x.command("kill-server").Run(); _ = os.RemoveAll(dir) })
	x.do("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(rows), "env PS1='ready> ' sh")
	x.do("pipe-pane", "cat >"+x.raw)
	x.shows("ready>")
	return x
}

func (x *terminal) command(args ...string) *exec.Cmd {
	c := exec.Command("tmux", append([]string{"-S", x.socket}, args...)...)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM=xterm-256color")
	return c
}

func (x *terminal) do(args ...string) {
	x.t.Helper()
	out, err := x.command(args...).CombinedOutput()
	require.NoError(x.t, err, "tmux %v: %s", args, out)
}

// screen is what can be read in the pane.
func (x *terminal) screen() string {
	out, err := x.command("capture-pane", "-p").CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func (x *terminal) shows(text string) {
	x.t.Helper()
	x.until(func(screen string) bool { return strings.Contains(screen, text) }, text)
}

func (x *terminal) until(good func(screen string) bool, what string) {
	x.t.Helper()
	if !waited(time.Minute, func() bool { return good(x.screen()) }) {
		require.FailNow(x.t, "the terminal does not show "+what, x.screen())
	}
}

// sent is every byte that the pane was sent, once it is good: it comes here through a pipe.
func (x *terminal) sent(good func(string) bool) (all string) {
	x.t.Helper()
	ok := waited(time.Minute, func() bool {
		raw, err := os.ReadFile(x.raw)
		all = string(raw)
		return err == nil && good(all)
	})
	require.True(x.t, ok, "%q", all)
	return all
}

// waited tells whether good came true in time.
func waited(bound time.Duration, good func() bool) bool {
	for end := time.Now().Add(bound); ; {
		if good() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// typed is a line for the pane's shell that runs this program.
func (p *place) typed(t *testing.T, more, line string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return fmt.Sprintf("env %s=1 %s %s '%s' %s", beProgram, strings.Join(p.environ, " "), more, self, line)
}

func TestAWatchedListInATerminal(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, 120, 12)
	p, _ := newFleet(t)
	first, second := newSession(), newSession()
	p.publish(t, first, "sleep 10m")
	p.runs(t, first)

	x.do("send-keys", p.typed(t, "", "sessions --watch"), "Enter")
	x.shows(first)
	require.NotContains(t, x.screen(), "ready>", "the list has a screen of its own")
	p.publish(t, second, "sleep 10m")
	x.until(func(s string) bool {
		return strings.Contains(s, first) && strings.Contains(s, second) && strings.Contains(s, "2 sessions")
	}, "both sessions")
	require.Equal(t, 0, p.run(t, "cancel", second).code)
	x.until(func(s string) bool { return !strings.Contains(s, second) && strings.Contains(s, "1 sessions") }, "the first session alone")
	x.do("resize-window", "-x", "60", "-y", "5")
	x.until(func(s string) bool {
		return strings.Contains(s, first) && strings.Contains(s, "…") && strings.Count(s, "SESSION") == 1
	}, "lines that fit")

	x.do("send-keys", "C-c")
	x.shows("ready>")
	require.NotContains(t, x.screen(), "1 sessions", "the shell's screen is back")
	sent := x.sent(func(s string) bool { return strings.Contains(s, screenLeave) })
	require.NotContains(t, sent, "\x1b[2J", "a list is never blanked before the next")
	require.Contains(t, sent, screenEnter)
	require.Greater(t, strings.Count(sent, screenHome), 2)
}

// Terminals that want no escapes get none.
func TestAPlainTerminalGetsPlainText(t *testing.T) {
	t.Parallel()
	p, _ := newFleet(t)
	session := newSession()
	p.publish(t, session, "sleep 10m")
	p.runs(t, session)
	for _, plain := range []string{"NO_COLOR=1", "TERM=dumb"} {
		x := newTerminal(t, 140, 30)
		x.do("send-keys", p.typed(t, plain, "sessions --watch"), "Enter")
		x.until(func(s string) bool { return strings.Count(s, "SESSION") > 1 }, "one list after the other")
		x.do("send-keys", "C-c")
		lists := x.sent(func(s string) bool { return strings.Count(s, "1 sessions") > 1 && strings.Count(s, session) > 1 })
		_, lists, _ = strings.Cut(lists, "1 sessions") // what the shell wrote is before the first list and after the last
		lists = lists[:max(strings.LastIndex(lists, session), 0)]
		require.NotEmpty(t, lists)
		require.NotContains(t, lists, "\x1b", plain)
	}
}

// Somebody at a terminal is asked before many letters are touched.
func TestATerminalIsAsked(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, 80, 20)
	p, _ := newFleet(t)
	session := newSession()
	require.Equal(t, 10, p.run(t, "publish", session, "exit 4", "--wait").code)
	letters := func() (all []map[string]any) { p.good(t, &all, "dead", "ls"); return all }

	x.do("send-keys", "clear; "+p.typed(t, "", "dead ls"), "Enter")
	x.until(func(s string) bool {
		return strings.Contains(s, session) && strings.Contains(s, "crash") && strings.Contains(s, "ready>")
	}, "the letter")
	for line := range strings.Lines(x.screen()) {
		if strings.Contains(line, "ATTEMPTS") {
			require.Contains(t, line, " AT", "the columns fit the width")
		}
	}
	x.do("send-keys", "clear; "+p.typed(t, "", "dead drop --all"), "Enter")
	x.shows("delete 1 dead letters for good. Go on? [y/N]")
	x.do("send-keys", "n", "Enter")
	x.shows("nothing was done")
	require.Len(t, letters(), 1)
	x.do("send-keys", "clear; "+p.typed(t, "", "dead drop --all"), "Enter")
	x.shows("Go on? [y/N]")
	x.do("send-keys", "y", "Enter")
	x.shows("dropped 1 dead letters")
	require.Empty(t, letters())
}
