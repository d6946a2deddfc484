package worker

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"curfew/queue"
	"curfew/registry"
)

// workOf makes a session's work folder, last used so long ago.
func (s *started) workOf(t *testing.T, session string, ago time.Duration) string {
	t.Helper()
	dir, err := workFolder(s.cfg.Data, session, nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "transcript"), nil, 0o600))
	at := time.Now().Add(-ago)
	require.NoError(t, os.Chtimes(dir, at, at))
	return dir
}

func (s *started) record(t *testing.T, session string, rec registry.Record) {
	t.Helper()
	_, err := s.records.Update(t.Context(), registry.Snapshot{Session: session}, rec)
	require.NoError(t, err)
}

func (s *started) tidied(t *testing.T, now time.Time) int {
	t.Helper()
	removed, next, err := s.tidy(t.Context(), "", now)
	require.NoError(t, err)
	require.Empty(t, next)
	return removed
}

// A work folder goes 24 hours after the end of its session, not earlier, and
// never because the clock of its last change says so.
func TestWorkFoldersGoADayAfterTheirSession(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	now := time.Now()
	old := 10 * 24 * time.Hour
	ended := func(at time.Time) registry.Record {
		return registry.Record{CreatedAt: now.Add(-48 * time.Hour), MaxAgeMS: 1000, Tombstone: &registry.Tombstone{Why: registry.WhyCancelled, At: at}}
	}
	gone := map[string]string{}
	kept := map[string]string{}
	add := func(to map[string]string, name string, used time.Duration, rec *registry.Record) string {
		session := newSession()
		if rec != nil {
			w.record(t, session, *rec)
		}
		to[name] = w.workOf(t, session, used)
		return session
	}
	dayAgo, lessAgo := ended(now.Add(-workKept-time.Minute)), ended(now.Add(-workKept+time.Minute))
	open := dayAgo
	open.Run = &registry.OpenRun{RunKey: registry.RunKey{Token: "x", Seq: 1, Attempt: 1}}
	add(gone, "ended a day ago", old, &dayAgo)
	add(kept, "ended not quite a day ago", old, &lessAgo)
	add(kept, "ended, but its run is open", old, &open)
	add(kept, "goes on", old, &registry.Record{CreatedAt: now.Add(-4 * 24 * time.Hour), MaxAgeMS: registry.MaxSessionAge.Milliseconds()})
	add(gone, "forgotten", registry.MaxSessionAge+workKept+time.Minute, nil)
	add(kept, "without a record, but perhaps not over", registry.MaxSessionAge+workKept-time.Minute, nil)
	silent := add(kept, "fell silent past its curfew, changed just now", old, &registry.Record{CreatedAt: now.Add(-48 * time.Hour), MaxAgeMS: 1000})

	// A link in the place of a folder goes; what it leads to stays.
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.Mkdir(victim, 0o700))
	require.NoError(t, os.Chtimes(victim, now.Add(-old), now.Add(-old)))
	linked := newSession()
	w.record(t, linked, dayAgo)
	link := filepath.Join(w.cfg.Data, sessionsFolder, linked)
	require.NoError(t, os.Symlink(victim, link))
	inside := filepath.Join(gone["ended a day ago"], "link")
	require.NoError(t, os.Symlink(victim, inside))
	require.NoError(t, os.Chtimes(gone["ended a day ago"], now.Add(-old), now.Add(-old)))
	foreign := filepath.Join(w.cfg.Data, sessionsFolder, "not-a-session")
	require.NoError(t, os.Mkdir(foreign, 0o700))
	require.NoError(t, os.Chtimes(foreign, now.Add(-old), now.Add(-old)))

	require.Equal(t, 3, w.tidied(t, now))
	for name, dir := range gone {
		require.NoDirExists(t, dir, name)
	}
	for name, dir := range kept {
		require.DirExists(t, dir, name)
	}
	_, err := os.Lstat(link)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.DirExists(t, victim)
	require.DirExists(t, foreign)

	require.NotZero(t, w.tidied(t, now.Add(workKept+time.Hour)))
	require.NoDirExists(t, filepath.Join(w.cfg.Data, sessionsFolder, silent), "a day after its record's last change")
	require.DirExists(t, kept["goes on"])
	require.DirExists(t, kept["ended, but its run is open"])
}

// A live session keeps its folder whatever the clock says, and also when its
// record is lost.
func TestALiveSessionKeepsItsWorkFolder(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	session := newSession()
	w.publish(t, queue.NewJob{Session: session, Body: []byte("sleep 10m")})
	w.running(t, session)
	dir := filepath.Join(w.cfg.Data, sessionsFolder, session)
	require.DirExists(t, dir)
	far := time.Now().Add(30 * 24 * time.Hour)
	require.Zero(t, w.tidied(t, far))

	lost := newSession() // its record is
	work := w.workOf(t, lost, 30*24*time.Hour)
	run := fakeRun{done: make(chan struct{})}
	require.NoError(t, w.table.Register(registry.Entry{ID: "x", Session: lost, Run: run}))
	require.Zero(t, w.tidied(t, far), "only this worker knows that it lives")
	close(run.done)
	require.Equal(t, 1, w.tidied(t, far))
	require.NoDirExists(t, work)
	require.DirExists(t, dir)
}

// fakeRun is a run that ends when the test says so.
type fakeRun struct{ done chan struct{} }

func (r fakeRun) Done() <-chan struct{} { return r.done }
func (fakeRun) Stop(error)              {}

// A round is bounded, and the next one goes on where it ended.
func TestTidyingGoesOnInTheNextRound(t *testing.T) {
	t.Parallel()
	w := newBench(t).worker(nil)
	all := []string{newSession(), newSession(), newSession()}
	for _, session := range all {
		w.workOf(t, session, 30*24*time.Hour)
	}
	removed, next, err := w.tidy(t.Context(), all[0], time.Now())
	require.NoError(t, err)
	require.Equal(t, 2, removed)
	require.Empty(t, next, "everything was looked at, so it begins again")
	require.DirExists(t, filepath.Join(w.cfg.Data, sessionsFolder, all[0]))
	require.Equal(t, 1, w.tidied(t, time.Now()))
}
