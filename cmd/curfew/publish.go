package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"curfew/queue"
	"curfew/registry"
)

// published is what publish prints of a job.
type published struct {
	Session   string       `json:"session"`
	Seq       uint64       `json:"seq"`
	Job       string       `json:"job"`
	Duplicate bool         `json:"duplicate"`
	Final     *queue.Event `json:"final,omitempty"` // with --wait
}

// publishing is one publish command with its flags.
type publishing struct {
	app       *app
	agent     string
	conflict  string
	id        string
	timeout   time.Duration
	createdAt string
	wait      bool
	file      string
	out       *format
}

func (a *app) publishCommand() *cobra.Command {
	p := &publishing{app: a}
	cmd := &cobra.Command{
		Use:   "publish UUID|new [INPUT|-]",
		Short: "Publish a job for a session",
		Long: "Publishes a job: INPUT is what the agent reads on its standard input, - takes it from ours.\n" +
			"`new` begins a session. Jobs of one session run one at a time, in the order of their publishing.",
		Example: "  curfew publish new \"write a haiku\" --wait\n" +
			"  curfew publish 5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11 - < prompt.txt\n" +
			"  curfew publish 5b0c3f52-7a35-4d6b-9c0e-2f4d1f6a8b11 \"stop that, do this\" --conflict replace\n" +
			"  curfew publish --file jobs.jsonl     # one {\"session\",\"input\",\"agent\",\"conflict\",\"id\"} a line",
		Args: args(0, 2),
		RunE: p.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&p.agent, "agent", "", "`name` of the agent (default: the session's, else default)")
	flags.StringVar(&p.conflict, "conflict", "", "while an older job of the session is unfinished: queue, replace or reject (default queue)")
	flags.StringVar(&p.id, "id", "", "`ID` of the job, unique in its session: publishing it again within 10 minutes is answered as a duplicate")
	flags.DurationVar(&p.timeout, "timeout", 0, "end the run after this long (can only shorten the agent's own)")
	flags.StringVar(&p.createdAt, "created-at", "", "when the session began, RFC 3339 (can only make it older)")
	flags.BoolVar(&p.wait, "wait", false, "wait for the job's end and print its result; exit code 10 dead letter, 11 terminated, stopped, cancelled or replaced, 12 expired")
	flags.StringVar(&p.file, "file", "", "publish the jobs of a `jobs.jsonl`, - for standard input")
	p.out = outputFlag(flags)
	return cmd
}

func (p *publishing) run(cmd *cobra.Command, given []string) error {
	if p.file != "" {
		return p.runFile(cmd, given)
	}
	job, err := p.job(cmd, given)
	if err != nil {
		return err
	}
	c, err := p.app.load(cmd, nil)
	if err != nil {
		return err
	}
	ctx, stop := p.app.brief(cmd.Context())
	defer stop()
	q, err := connectQueue(ctx, &c.Config, "curfew publish", p.app.logger(c))
	if err != nil {
		return err
	}
	defer q.Close()
	if err := q.Attach(ctx, q.Names().Jobs); err != nil {
		return err
	}
	began := time.Now()
	done, err := publishOne(ctx, q, job)
	if err != nil {
		return err
	}
	if p.wait {
		stop()
		f := &fleet{queue: q, openRecords: func(ctx context.Context) (*registry.Records, error) {
			return openRecords(ctx, &c.Config, q, false, p.app.logger(c))
		}}
		return p.await(cmd, f, done, began)
	}
	return p.tell(cmd, done)
}

func publishOne(ctx context.Context, q *queue.Queue, job queue.NewJob) (published, error) {
	got, err := q.Publish(ctx, job)
	if errors.Is(err, queue.ErrBacklogFull) {
		err = fmt.Errorf("%w (`curfew show %s` tells what it is busy with)", err, job.Session)
	}
	if err != nil {
		return published{}, fmt.Errorf("publish job %s of session %s: %w", job.ID, job.Session, err)
	}
	return published{Session: job.Session, Seq: got.Seq, Job: job.ID, Duplicate: got.Duplicate}, nil
}

// tell prints what was published.
func (p *publishing) tell(cmd *cobra.Command, done published) error {
	if *p.out == formatJSON {
		return printJSONLine(cmd.OutOrStdout(), done)
	}
	fmt.Fprintln(cmd.OutOrStdout(), done.line())
	return nil
}

func (d published) line() string {
	what := "published"
	if d.Duplicate {
		what = "was published before:"
	}
	return fmt.Sprintf("%s job %s of session %s, sequence %d", what, d.Job, d.Session, d.Seq)
}

// job is what the command line asks for.
func (p *publishing) job(cmd *cobra.Command, given []string) (queue.NewJob, error) {
	if len(given) == 0 {
		return queue.NewJob{}, wrong(cmd, "say which session: a UUID, or new")
	}
	session, err := p.session(cmd, given[0])
	if err != nil {
		return queue.NewJob{}, err
	}
	job := queue.NewJob{Session: session, ID: jobID(session, p.id), Agent: p.agent, Conflict: queue.Conflict(p.conflict), Timeout: p.timeout}
	if err := checkJob(job); err != nil {
		return job, wrong(cmd, "%w", err)
	}
	if p.createdAt != "" {
		if job.CreatedAt, err = time.Parse(time.RFC3339Nano, p.createdAt); err != nil {
			return job, wrong(cmd, "--created-at %q: must be a time as 2026-01-31T09:00:00Z", p.createdAt)
		}
	}
	if trace := p.app.getenv("TRACEPARENT"); traceShape.MatchString(trace) {
		job.Traceparent = trace // of the process that calls us; a broken one is no reason to refuse the job
	}
	if len(given) < 2 {
		return job, nil
	}
	job.Body = []byte(given[1])
	if given[1] == "-" {
		if job.Body, err = p.app.stdin(cmd.Context()); err != nil {
			return job, fmt.Errorf("read the input from standard input: %w", err)
		}
	}
	return job, nil
}

// traceShape is a W3C trace context.
var traceShape = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

func (p *publishing) session(cmd *cobra.Command, text string) (string, error) {
	if text == "new" {
		return newSession(), nil
	}
	return sessionArg(cmd, text)
}

// checkJob finds what is wrong with a job before anything is sent.
func checkJob(job queue.NewJob) error {
	switch job.Conflict {
	case "", queue.ConflictQueue, queue.ConflictReplace, queue.ConflictReject:
	default:
		return fmt.Errorf("conflict %q: must be queue, replace or reject", job.Conflict)
	}
	if job.Timeout < 0 {
		return fmt.Errorf("timeout %s: must be above 0s", job.Timeout)
	}
	return nil
}

// jobID makes an id unique in the stream by putting its session before it: two sessions may use the same one. An id that
// was printed by an earlier publish is taken as it is. Without an id the job gets a random one.
func jobID(session, id string) string {
	prefix := session + ":"
	if id == "" {
		return prefix + strings.ToLower(rand.Text()[:12])
	}
	return prefix + strings.TrimPrefix(id, prefix)
}
