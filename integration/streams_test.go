package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestJobsStreamMadeAnew: sequences begin again while the records remember the old ones. New jobs run all the same.
func TestJobsStreamMadeAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		live bool // the worker is there while the stream is deleted
	}{{"under a live worker", true}, {"while nobody looks", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			share(t)
			w := newWorld(t, sharedStack(t))
			first := w.worker("w1")
			session, other := newSession(), newSession()
			for range 3 {
				w.publish(session, "before")
				w.publish(other, "before")
			}
			w.settle()
			if !c.live {
				w.stop(first)
			}
			old, err := w.js.Stream(t.Context(), w.stream("JOBS"))
			require.NoError(t, err)
			require.NoError(t, w.js.DeleteStream(t.Context(), w.stream("JOBS")))
			if !c.live {
				w.worker("w2")
			}
			w.until(patience, func() bool {
				s, err := w.js.Stream(t.Context(), w.stream("JOBS"))
				return err == nil && s.CachedInfo().Created.After(old.CachedInfo().Created) && w.rest().clean()
			}, "the stream is made anew")
			again := w.publish(session, "after")
			require.Less(t, again.Seq, uint64(6), "sequences begin again")
			w.publish(other, "after")
			w.publish(session, "after, too")
			w.finish()
		})
	}
}

// TestTwoNamespaces share servers and even a session's UUID, and nothing else.
func TestTwoNamespaces(t *testing.T) {
	t.Parallel()
	share(t)
	s := sharedStack(t)
	a, b := newWorld(t, s), newWorld(t, s)
	session := newSession()
	worlds := []*world{a, b}
	var live []*job
	for _, w := range worlds {
		w.worker("w1")
		live = append(live, w.publish(session, script("await "+a.gate("both"))))
	}
	for i, w := range worlds {
		w.untilStart(live[i], 1)
	}
	a.open(a.gate("both")) // they were alive at once: another namespace is another session
	a.publish(session, script("exit 127"), wants("misconfigured"))
	b.publish(session, "well")
	a.must("cancel", newSessionWithJob(a))
	for _, w := range worlds {
		w.finish()
	}
	require.Len(t, a.readLetters(), 1)
	require.Empty(t, b.readLetters())
}

// newSessionWithJob runs one job in a session of its own.
func newSessionWithJob(w *world) string {
	w.t.Helper()
	j := w.publish(newSession(), "x")
	w.untilFinal(j)
	return j.Session
}

// TestOtherTerms: a worker with other lease times than the namespace agreed on would break its neighbours' arithmetic.
func TestOtherTerms(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.worker("w1")
	other := w.launch("w2", workerOptions{change: patientLease})
	code, ended := other.wait(patience)
	require.True(t, ended, "it went on")
	require.Equal(t, 2, code)
	require.Contains(t, other.output(), "ttl")
	require.Contains(t, other.output(), "setup", "it says how to change them")
	w.publish(newSession(), "the first goes on")
	w.finish()
}
