package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRetryDeadLetter: a letter is replayed within the duplicate window of its job, once, and is gone then.
func TestRetryDeadLetter(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.worker("w1")
	repaired := w.gate("repaired")
	session, elsewhere := newSession(), newSession()
	text := script("exit-unless " + repaired + " 127")
	stays := w.publish(session, text, wants("misconfigured"))
	moves := w.publish(session, text, wants("misconfigured"))
	w.untilFinal(stays, moves)

	ids := map[string]string{}
	w.until(patience, func() bool {
		var letters []struct {
			ID, Session, Job, Outcome string
			Attempts                  int
		}
		w.mustJSON(&letters, "dead", "ls", "--session", session)
		for _, l := range letters {
			ids[l.Job] = l.ID
			require.Equal(t, "misconfigured", l.Outcome)
		}
		return len(letters) == 2
	}, "both letters are listed")
	require.Len(t, w.readLetters(), 2)
	w.open(repaired)
	w.must("dead", "retry", ids[stays.Name])
	w.must("dead", "retry", ids[moves.Name], "--session", elsewhere)
	w.adoptReplay(session, text)
	w.adoptReplay(elsewhere, text)
	require.Equal(t, 3, w.curfew("dead", "retry", ids[stays.Name]).code, "the letter is gone")
	w.finish()
}

// adoptReplay waits for the end of the replayed job of the session and puts it among the published ones.
func (w *world) adoptReplay(session, text string) {
	w.t.Helper()
	var e event
	w.until(patience, func() bool {
		for _, e = range w.readEvents() {
			if e.Final && e.Session == session && strings.HasPrefix(e.Job, "retry:") {
				return true
			}
		}
		return false
	}, "the end of the replayed job of session %s", session)
	w.accept(w.job(session, text, withID(e.Job)), e.Seq)
}

// TestRetryIntoExpired: a session that is over takes nothing back; a new one does.
func TestRetryIntoExpired(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.worker("w1")
	session := newSession()
	j := w.publish(session, "late", createdAgo(5*time.Hour), neverRuns("expired"))
	w.untilFinal(j)
	w.until(patience, func() bool { return len(w.lettersOf(j)) == 1 }, "the dead letter")
	var letters []struct{ ID string }
	w.mustJSON(&letters, "dead", "ls", "--reason", "expired")
	require.Len(t, letters, 1)
	refused := w.curfew("dead", "retry", letters[0].ID)
	require.Equal(t, 1, refused.code, "%s%s", refused.stdout, refused.stderr)
	require.Contains(t, refused.stderr, "--session")

	fresh := newSession()
	w.must("dead", "retry", letters[0].ID, "--session", fresh)
	w.adoptReplay(fresh, "late")
	w.finish()
}
