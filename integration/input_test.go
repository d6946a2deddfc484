package integration

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// TestBadInput: whatever is published, a job ends once, with a reason, and disturbs no other.
func TestBadInput(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t), func(c *config) {
		c.Queue.UnknownAgentWait = "1s"
		failing := witnessAgent(c.dir(), "exit 42")
		failing.Exits = []exitConfig{{Code: 42, Action: "dead"}}
		c.Agents["failing"] = failing
	})
	w.worker("w1")

	subject := func(s string) jobOption {
		return func(j *job) { j.Subject = w.jobSubject(s) }
	}
	upper := strings.ToUpper(newSession())
	invalid := []jobOption{
		subject("not-a-uuid"), subject(upper), subject(newSession() + ".extra"), subject("a.b.c.d"),
		subject(strings.ReplaceAll(newSession(), "-", "")), subject("{" + newSession() + "}"), subject("urn:uuid:" + newSession()),
	}
	for _, o := range invalid {
		w.publish(newSession(), "nobody's", o, withoutID(), neverRuns("invalid"))
		w.publish(newSession(), "nobody's, with an id", o, neverRuns("invalid"))
	}
	headers := map[string]jobOption{
		"unknown header":  header("Curfew-Colour", "blue"),
		"repeated header": header("Curfew-Agent", "default", "default"),
		"repeated in two ways": func(j *job) {
			j.Header["Curfew-Agent"], j.Header["curfew-agent"] = []string{"default"}, []string{"default"}
		},
		"conflict":         conflict("maybe"),
		"timeout":          header("Curfew-Timeout", "soon"),
		"negative timeout": header("Curfew-Timeout", "-5s"),
		"created at":       header("Curfew-Created-At", "yesterday"),
	}
	for name, o := range headers {
		w.publish(newSession(), name, o, neverRuns("invalid"))
	}
	for _, id := range []string{"with space", "-begins with a dash", "../../etc/passwd", strings.Repeat("x", 129), "ünï"} {
		w.publish(newSession(), "id "+id, withID(id), namedBySeq(), neverRuns("invalid"))
	}
	unknown := w.publish(newSession(), "agent nobody knows", forAgent("stranger"), neverRuns("invalid", "failed", "misconfigured"))

	binary := make([]byte, 100_000)
	_, _ = rand.Read(binary)
	huge := bytes.Repeat([]byte("prompt "), 1<<20)[:7<<20]
	expected := []jobOption{header("Nats-Expected-Stream", w.stream("JOBS")), header("Nats-Expected-Last-Subject-Sequence", "0")}
	for _, o := range [][]jobOption{
		{rawBody(nil)},
		{rawBody(binary)},
		{rawBody(huge)},
		expected,
		{header("curfew-timeout", "10m")}, // names are matched without case
		{header("X-Mine", "a", "b")},
	} {
		w.publish(newSession(), "", o...)
		w.publish(newSession(), "", append(o, forAgent("failing"), wants("failed"))...)
	}
	tooLarge := w.job(newSession(), "", rawBody(make([]byte, maxPayload-8<<10)))
	require.Error(t, w.send(tooLarge), "a job that could not be buried must be refused")

	end := w.untilFinal(unknown)
	require.GreaterOrEqual(t, end.At.Sub(unknown.At), 900*time.Millisecond, "an unknown agent is waited for")
	w.finish()
	w.checkLetters()
}

// checkLetters: what is set aside can be understood and comes back whole.
func (w *world) checkLetters() {
	w.t.Helper()
	for _, l := range w.readLetters() {
		require.NotEmpty(w.t, l.Reason, "%s", l)
		for name, values := range l.Header { // the letter's own are fine
			own := name == nats.MsgIdHdr || name == nats.ExpectedStreamHdr && values[0] == w.stream("DEAD")
			if strings.HasPrefix(strings.ToLower(name), "nats-") && !own {
				w.t.Errorf("%s kept %s: %v", l, name, values)
			}
		}
		for _, j := range w.jobs {
			if j.Name != l.Job {
				continue
			}
			require.True(w.t, bytes.Equal(j.Body, l.Body), "%s: other bytes than were published", l)
			require.Equal(w.t, j.Header["X-Mine"], l.Header["X-Mine"], "%s", l)
			if j.Want[0] == "invalid" && !strings.HasPrefix(j.Subject, w.jobSubject(j.Session)) {
				require.Equal(w.t, w.ns+".dead.invalid", l.Subject)
			}
		}
	}
}

// TestOtherAgent: a session keeps its agent.
func TestOtherAgent(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t), func(c *config) { c.Agents["other"] = c.Agents["default"] })
	w.worker("w1")
	session := newSession()
	w.publish(session, "first", forAgent("other"))
	w.publish(session, "another agent", forAgent("default"), neverRuns("invalid", "failed"))
	w.publish(session, "the session's own")
	w.finish()
	for _, e := range w.readEvents() {
		if e.Type == "started" {
			require.Equal(t, "other", e.Agent)
		}
	}
}

// TestBacklog: a hundred thousand publishes to one session are refused past its backlog, and nobody else waits for them.
func TestBacklog(t *testing.T) {
	t.Parallel()
	alone(t)
	const backlog, flood = 25, 100_000
	w := newWorld(t, sharedStack(t), func(c *config) { c.Session.Backlog, c.Log.Level = backlog, "info" })
	w.worker("w1")
	session, release := newSession(), w.gate("release")
	head := w.publish(session, script("await "+release))
	w.untilStart(head, 1)

	flooded := make(chan error, 1)
	var sent []*job
	var acks []jetstream.PubAckFuture
	go func() {
		flooded <- func() error {
			for i := range flood {
				j := w.job(session, fmt.Sprint(i))
				ack, err := w.js.PublishMsgAsync(j.message(), jetstream.WithStallWait(30*time.Second))
				if err != nil {
					return err
				}
				sent, acks = append(sent, j), append(acks, ack)
			}
			return nil
		}()
	}()
	others := 0
	for done := false; !done || others < 5; others++ {
		j := w.publish(newSession(), "another session")
		start := w.untilStart(j, 1)
		require.Less(t, start.At.Sub(j.At), 20*time.Second, "another session's job waited for the flood")
		w.untilFinal(j)
		select {
		case err := <-flooded:
			require.NoError(t, err)
			done = true
		default:
		}
	}
	accepted := 0
	for i, ack := range acks {
		select {
		case ok := <-ack.Ok():
			w.accept(sent[i], ok.Sequence)
			accepted++
		case err := <-ack.Err():
			var api *jetstream.APIError
			require.True(t, errors.As(err, &api), "%v", err)
			require.Equal(t, jetstream.ErrorCode(10077), api.ErrorCode)
		case <-time.After(patience):
			require.FailNow(t, "no answer to a publish")
		}
	}
	require.Equal(t, backlog-1, accepted, "jobs that wait, beside the one that runs")
	refused := w.curfew("publish", session, "one too many")
	require.Equal(t, 1, refused.code, "%s%s", refused.stdout, refused.stderr)
	require.Contains(t, refused.stderr, "backlog")
	w.open(release)
	w.finish()
	t.Logf("%d jobs of other sessions started during the flood", others)
}

// TestPublishCommand: what the command says is what happens.
func TestPublishCommand(t *testing.T) {
	t.Parallel()
	share(t)
	w := newWorld(t, sharedStack(t))
	w.worker("w1")
	session := newSession()
	var first, again struct {
		Session, Job string
		Seq          uint64
		Duplicate    bool
	}
	w.mustJSON(&first, "publish", session, "hello", "--id", "one")
	w.mustJSON(&again, "publish", session, "hello", "--id", "one")
	require.Equal(t, session, first.Session)
	require.Equal(t, first.Seq, again.Seq)
	require.False(t, first.Duplicate)
	require.True(t, again.Duplicate)
	j := w.job(session, "hello", withID(session+":one"))
	w.accept(j, first.Seq)
	w.untilFinal(j)

	for _, c := range []struct {
		script, outcome string
		code            int
	}{{"exit 0", "succeeded", 0}, {"exit 127", "misconfigured", 10}, {"exit 143", "terminated", 11}} {
		text := script(c.script)
		id := c.outcome
		a := w.curfew("publish", session, text, "--wait", "--id", id)
		require.Equal(t, c.code, a.code, "%s\n%s%s", c.script, a.stdout, a.stderr)
		e := w.eventNamed(session + ":" + id)
		w.accept(w.job(session, text, withID(session+":"+id), wants(c.outcome)), e.Seq)
	}
	require.Equal(t, 2, w.curfew("publish", "not-a-uuid", "x").code)
	var sessions []struct {
		Session, State string
		LastOutcome    string `json:"last_outcome"`
	}
	w.mustJSON(&sessions, "sessions", "--all")
	require.Len(t, sessions, 1)
	require.Equal(t, session, sessions[0].Session)
	require.Equal(t, "idle", sessions[0].State)
	require.Equal(t, "terminated", sessions[0].LastOutcome)
	var shown struct{ Events []json.RawMessage }
	w.mustJSON(&shown, "show", session)
	require.NotEmpty(t, shown.Events)
	w.finish()
}

// eventNamed is the final event of the job of that name.
func (w *world) eventNamed(name string) event {
	w.t.Helper()
	return w.untilFinal(&job{Name: name})
}
