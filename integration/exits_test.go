package integration

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTermFromOutside: whoever sends SIGTERM to the subprocess ends its job for good, and the session goes on.
func TestTermFromOutside(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.worker("w1")
	type victim struct {
		name   string
		script []string
		signal bool
		first  *job
		next   *job
	}
	victims := []*victim{
		{name: "dies by the signal", script: []string{"touch %s", "sleep 10m"}, signal: true},
		{name: "traps it and exits 143", script: []string{"term-exit 143 1ms", "touch %s", "sleep 10m"}, signal: true},
		{name: "exits 143", script: []string{"touch %s", "exit 143"}},
	}
	for i, v := range victims {
		session, armed := newSession(), w.gate(fmt.Sprint("armed", i))
		v.script = withGate(v.script, armed)
		v.first = w.publish(session, script(v.script...), wants("terminated"))
		v.next = w.publish(session, "next") // already waits when the signal comes
		w.until(patience, func() bool { return exists(armed) }, "%s: running", v.name)
	}
	for _, v := range victims {
		if v.signal {
			require.NoError(t, syscall.Kill(w.untilStart(v.first, 1).PID, syscall.SIGTERM), v.name)
		}
	}
	for _, v := range victims {
		end := w.untilFinal(v.first)
		require.Equal(t, "terminated", end.Outcome, v.name)
		require.Equal(t, 1, end.Attempt, v.name)
		w.untilFinal(v.next)
	}
	w.until(patience, func() bool { return w.rest().clean() }, "the stream is empty")
	w.never(3*ackWait, func() bool {
		for _, v := range victims {
			if len(w.runsOf(v.first)) > 1 || len(w.eventsOf(v.first, "finished")) > 1 {
				return true
			}
		}
		return false
	}, "a terminated job ran again, or ended again")
	for _, v := range victims {
		w.publish(v.first.Session, "one more")
	}
	w.finish()
}

// TestCrashes: any other end is tried again with a growing backoff, and buried after five failures, with what it said.
func TestCrashes(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.worker("w1")
	cases := []struct{ name, how, exit string }{
		{"code 1", "exit 1", "1"},
		{"code 137", "exit 137", "137"},
		{"SIGKILL", "signal KILL", "SIGKILL"},
		{"SIGSEGV", "signal SEGV", "SIGSEGV"},
	}
	var crashing, next []*job
	for _, c := range cases {
		session := newSession()
		crashing = append(crashing, w.publish(session, script("stderr last words of "+c.name, c.how), wants("crashed")))
		next = append(next, w.publish(session, "next"))
	}
	recovers := w.publish(newSession(), script("@-2 exit 1"))
	for i, c := range cases {
		end := w.untilFinal(crashing[i])
		require.Equal(t, 5, end.Attempt, c.name)
		runs := w.runsOf(crashing[i])
		require.Len(t, runs, 5, c.name)
		for n := 1; n < len(runs); n++ {
			least := time.Duration(float64(100*time.Millisecond) * float64(int(1)<<(n-1)) * 0.75) // 100 ms, doubled, with jitter
			require.GreaterOrEqual(t, runs[n].At.Sub(runs[n-1].Finish), least, "%s: backoff %d", c.name, n)
			require.Equal(t, n+1, runs[n].Attempt, c.name)
		}
		require.Len(t, w.eventsOf(crashing[i], "retrying"), 4, c.name)
		w.until(patience, func() bool { return len(w.lettersOf(crashing[i])) == 1 }, "%s: the dead letter", c.name)
		letter := w.lettersOf(crashing[i])[0]
		require.Equal(t, c.exit, letter.Exit, c.name)
		require.Equal(t, "5", letter.Attempts, c.name)
		require.Equal(t, "crashed", letter.Outcome, c.name)
		require.NotEmpty(t, letter.Reason, c.name)
		require.Contains(t, letter.Stderr, "last words of "+c.name)
		require.Equal(t, crashing[i].Body, letter.Body, c.name)
	}
	w.untilFinal(next...)
	w.untilFinal(recovers)
	require.Len(t, w.runsOf(recovers), 3)
	w.finish()
}

// TestMisconfigured: 126 and 127 say that the command is wrong; trying again helps nobody.
func TestMisconfigured(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.worker("w1")
	for _, code := range []int{126, 127} { // three in a row would stop the worker, rightly
		session := newSession()
		j := w.publish(session, script(fmt.Sprintf("exit %d", code)), wants("misconfigured"))
		next := w.publish(session, "next")
		w.untilFinal(j, next)
		require.Len(t, w.runsOf(j), 1)
	}
	w.finish()
	for _, l := range w.readLetters() {
		require.Contains(t, []string{"126", "127"}, l.Exit)
		require.Equal(t, "1", l.Attempts)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// withGate puts a gate's path where a script has %s.
func withGate(lines []string, gate string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		if out[i] = line; len(line) > 2 && line[len(line)-2:] == "%s" {
			out[i] = line[:len(line)-2] + gate
		}
	}
	return out
}
