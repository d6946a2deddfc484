package queue

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestNamesForNamespace(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "Curfew", "1a", "a.b", "a b", "a*", "-a", strings.Repeat("a", 33)} {
		_, err := NamesFor(bad)
		require.Error(t, err, bad)
	}
	n, err := NamesFor("night-watch_2")
	require.NoError(t, err)
	require.Equal(t, "NIGHT-WATCH_2_JOBS", n.Jobs)
	require.Equal(t, "NIGHT-WATCH_2_SESSIONS", n.Sessions)
	require.Equal(t, "night-watch_2.jobs.x", n.JobSubject("x"))
	require.Equal(t, "night-watch_2.dead.invalid", n.DeadSubject(""))
	require.Equal(t, "night-watch_2.events.invalid", n.EventSubject(""))
}

func TestValidSession(t *testing.T) {
	t.Parallel()
	const good = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
	require.True(t, ValidSession(good))
	for _, bad := range []string{
		"", "new", strings.ToUpper(good), "{" + good + "}", "urn:uuid:" + good, strings.ReplaceAll(good, "-", ""),
		good + "a", good[:35], good[:35] + "g", "0190a1b2c-3d4-7e5f-8a9b-0c1d2e3f4a5b", good + ".x",
	} {
		require.False(t, ValidSession(bad), bad)
	}
}

func TestDeclareTwiceIsNoChange(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	a, b := declared(t, n), connect(t, n)
	ctx := within(t, 60*time.Second)
	before, err := a.streamInfo(ctx, a.names.Jobs)
	require.NoError(t, err)
	epoch := a.Epoch()
	require.NoError(t, a.Declare(ctx, terms()))
	require.NoError(t, b.Declare(ctx, terms()))
	did, err := b.Setup(ctx, terms())
	require.NoError(t, err)
	require.Empty(t, did)
	after, err := a.streamInfo(ctx, a.names.Jobs)
	require.NoError(t, err)
	require.Equal(t, before.Config, after.Config)
	require.Equal(t, before.Created, after.Created)
	require.Equal(t, epoch, a.Epoch())
	require.NotEmpty(t, a.Identity())
	require.Equal(t, a.Identity(), b.Identity())
}

func TestDeclaredStreamsAreAsMeasured(t *testing.T) {
	t.Parallel()
	q := declared(t, startNode(t))
	ctx := within(t, 60*time.Second)
	for _, name := range []string{q.names.Jobs, q.names.Events, q.names.Output, q.names.Dead} {
		info, err := q.streamInfo(ctx, name)
		require.NoError(t, err)
		require.Positive(t, info.Config.MaxBytes, name)
		require.False(t, info.Config.AllowDirect, name)
		require.Equal(t, jetstream.FileStorage, info.Config.Storage, name)
		require.Equal(t, 10*time.Minute, info.Config.Duplicates, name)
	}
	jobs, err := q.streamInfo(ctx, q.names.Jobs)
	require.NoError(t, err)
	require.Equal(t, jetstream.WorkQueuePolicy, jobs.Config.Retention)
	require.Equal(t, jetstream.DiscardNew, jobs.Config.Discard)
	require.True(t, jobs.Config.DiscardNewPerSubject)
	require.EqualValues(t, 1000, jobs.Config.MaxMsgsPerSubject)
	c, err := q.js.Consumer(ctx, q.names.Jobs, q.names.Consumer)
	require.NoError(t, err)
	have := c.CachedInfo().Config
	require.Equal(t, -1, have.MaxDeliver)
	require.Equal(t, 100_000, have.MaxAckPending)
	require.Equal(t, 4096, have.MaxWaiting)
	require.Equal(t, 30*time.Second, have.AckWait)
}

func TestDeclareListsDifferencesAndSetupRepairs(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	q := connect(t, n, func(o *Options) { o.Backlog, o.AckWait = 7, time.Minute })
	ctx := within(t, 60*time.Second)

	// Somebody made them otherwise.
	require.NoError(t, declared(t, n).Attach(ctx))
	s, err := q.js.Stream(ctx, q.names.Events)
	require.NoError(t, err)
	cfg := s.CachedInfo().Config
	cfg.MaxAge, cfg.MaxBytes, cfg.Metadata = time.Hour, -1, map[string]string{"owner": "ops"}
	_, err = q.js.UpdateStream(ctx, cfg)
	require.NoError(t, err)
	require.NoError(t, q.js.DeleteConsumer(ctx, q.names.Jobs, q.names.Consumer))
	wrong := q.wantedConsumer()
	wrong.MaxWaiting, wrong.AckWait = 12, 5*time.Second
	_, err = q.js.CreateConsumer(ctx, q.names.Jobs, wrong)
	require.NoError(t, err)

	err = q.Declare(ctx, terms())
	differ := (*DifferError)(nil)
	require.ErrorAs(t, err, &differ)
	require.Contains(t, err.Error(), "curfew setup")
	all := strings.Join(differ.Differences, "\n")
	for _, want := range []string{
		"stream CURFEW_JOBS: messages per subject is 1000, should be 7",
		"stream CURFEW_EVENTS: age limit is 1h0m0s, should be 168h0m0s",
		"stream CURFEW_EVENTS: byte bound is -1",
		"consumer workers: ack wait is 5s, should be 1m0s",
		"consumer workers: waiting pulls is 12, should be 4096",
	} {
		require.Contains(t, all, want)
	}
	require.Len(t, differ.Differences, 5)

	did, err := q.Setup(ctx, terms())
	require.NoError(t, err)
	require.Contains(t, strings.Join(did, "\n"), "messages per subject is 1000, now 7")
	require.NoError(t, q.Declare(ctx, terms()))
	info, err := q.streamInfo(ctx, q.names.Events)
	require.NoError(t, err)
	require.Equal(t, "ops", info.Config.Metadata["owner"])
	did, err = q.Setup(ctx, terms())
	require.NoError(t, err)
	require.Empty(t, did)
}

func TestSetupNamesWhatCannotBeChanged(t *testing.T) {
	t.Parallel()
	q := connect(t, startNode(t))
	ctx := within(t, 60*time.Second)
	cfg := q.wantedStreams(terms())[0]
	cfg.Retention, cfg.MaxMsgsPerSubject = jetstream.LimitsPolicy, 3
	_, err := q.js.CreateStream(ctx, cfg)
	require.NoError(t, err)
	did, err := q.Setup(ctx, terms())
	differ := (*DifferError)(nil)
	require.ErrorAs(t, err, &differ)
	require.Len(t, differ.Differences, 1)
	require.Contains(t, differ.Differences[0], "retention")
	require.Contains(t, strings.Join(did, "\n"), "messages per subject is 3, now 1000")
}

func TestOtherTermsAreRefusedUntilSetup(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	declared(t, n)
	q := connect(t, n)
	ctx := within(t, 60*time.Second)
	other := Terms{TTL: 30 * time.Second, Margin: 3 * time.Second}
	err := q.Declare(ctx, other)
	te := (*TermsError)(nil)
	require.ErrorAs(t, err, &te)
	require.Equal(t, terms(), te.Agreed)
	require.Equal(t, other, te.Wanted)
	for _, want := range []string{"15s", "2s", "30s", "3s", "curfew setup"} {
		require.Contains(t, err.Error(), want)
	}
	jobs, err := q.streamInfo(ctx, q.names.Jobs)
	require.NoError(t, err)
	jobs.Config.Metadata["owner"] = "ops"
	_, err = q.js.UpdateStream(ctx, jobs.Config)
	require.NoError(t, err)
	did, err := q.Setup(ctx, other)
	require.NoError(t, err)
	require.Len(t, did, 1)
	jobs, err = q.streamInfo(ctx, q.names.Jobs)
	require.NoError(t, err)
	require.Equal(t, "ops", jobs.Config.Metadata["owner"], "others' metadata stays")
	require.NoError(t, q.Declare(ctx, other))
	require.ErrorAs(t, q.Declare(ctx, terms()), &te)
	require.Error(t, q.Declare(ctx, Terms{TTL: time.Second, Margin: 2 * time.Second}))
}

func TestAttachAndDeclareNeverMakeNothing(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	never := connect(t, n, func(o *Options) { o.Declare = DeclareNever })
	ctx := within(t, 60*time.Second)
	require.ErrorIs(t, never.Attach(ctx), ErrNotSetUp)
	require.ErrorIs(t, never.Declare(ctx, terms()), ErrNotSetUp)
	_, err := never.Hints(ctx)
	require.ErrorIs(t, err, ErrNotSetUp)
	_, err = never.Publish(ctx, NewJob{Session: newSession()})
	require.ErrorIs(t, err, ErrNotSetUp)
	_, err = never.Head(ctx, newSession(), 1)
	require.ErrorIs(t, err, ErrNotSetUp)
	require.ErrorIs(t, never.Events(ctx, "", time.Time{}, true, func(Event) error { return nil }), ErrNotSetUp)

	did, err := never.Setup(ctx, terms()) // asked for
	require.NoError(t, err)
	require.Len(t, did, 5)
	require.NoError(t, never.Attach(ctx))
	require.NoError(t, never.Declare(ctx, terms()))
}

func TestConnectSaysWhereAndHidesSecrets(t *testing.T) {
	t.Parallel()
	ctx := within(t, 60*time.Second)
	_, err := Connect(ctx, Options{URL: "nats://joe:hunter2@127.0.0.1:1"})
	un := (*UnreachableError)(nil)
	require.ErrorAs(t, err, &un)
	require.Equal(t, "127.0.0.1:1", un.Server)
	require.NotContains(t, err.Error(), "hunter2")
	_, err = Connect(ctx, Options{URL: "nats://joe:hunter2@127.0.0.1:x1"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	_, err = Connect(ctx, Options{URL: "nats://127.0.0.1:1", Namespace: "Bad"})
	require.Error(t, err)
	require.False(t, errors.As(err, &un))
}
