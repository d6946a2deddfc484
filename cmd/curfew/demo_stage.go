package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"curfew/cmd/internal/config"
	"curfew/queue"
	"curfew/registry"
)

// demo is the stage: a fleet of in-process workers, a witness, and the account of what was checked.
type demo struct {
	app     *app
	out     io.Writer
	color   bool
	dir     string
	witness string
	config  config.Config
	fleet   *fleet
	workers []*demoWorker
	log     *logrus.Entry

	checks, failed int
	letter         queue.DeadLetter // from the act that makes one to the act that replays it
	cure           string           // the file that its job needs
}

// demoWorker is one in-process worker.
type demoWorker struct {
	node *node
	done sync.WaitGroup
}

func (d *demo) startWorker(ctx context.Context, name string) error {
	c := config.Loaded{Config: d.config}
	c.Worker.ID = name
	c.Worker.Data = filepath.Join(d.dir, "work")
	agents := c.RunAgents()
	if err := resolve(agents); err != nil {
		return err
	}
	n, err := d.app.startNode(ctx, c, agents, d.log)
	if err != nil {
		return err
	}
	w := &demoWorker{node: n}
	ctx = context.WithoutCancel(ctx) // it ends by a drain, so that its subprocesses end in order
	w.done.Go(func() {
		if err := n.worker.Run(ctx); err != nil {
			d.log.WithError(err).Error("a worker of the demonstration failed")
		}
	})
	d.workers = append(d.workers, w)
	return nil
}

//nolint:contextcheck // closing has its own bound, also when the context has ended
func (d *demo) stopWorkers() {
	for _, w := range d.workers {
		w.node.worker.HandBack()
	}
	for _, w := range d.workers {
		w.done.Wait()
		w.node.close()
	}
}

// check notes one claim and whether it held.
func (d *demo) check(held bool, claim string, args ...any) {
	d.checks++
	mark := d.green("ok  ")
	if !held {
		d.failed++
		mark = d.red("FAIL")
	}
	fmt.Fprintf(d.out, "   %s %s\n", mark, fmt.Sprintf(claim, args...))
}

// tell says what is done.
func (d *demo) tell(text string, args ...any) { fmt.Fprintf(d.out, "   "+text+"\n", args...) }

func (d *demo) green(s string) string { return d.paint("32", s) }
func (d *demo) red(s string) string   { return d.paint("31;1", s) }
func (d *demo) bold(s string) string  { return d.paint("1", s) }

func (d *demo) paint(code, s string) string {
	if !d.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// publish gives one job; change may be nil.
func (d *demo) publish(ctx context.Context, session, input string, change func(*queue.NewJob)) (published, error) {
	job := queue.NewJob{Session: session, ID: jobID(session, ""), Body: []byte(input)}
	if change != nil {
		change(&job)
	}
	return publishOne(ctx, d.fleet.queue, job)
}

// final waits for the end of a job.
func (d *demo) final(ctx context.Context, job published) (queue.Event, error) {
	var final queue.Event
	err := d.fleet.queue.Events(ctx, job.Session, time.Time{}, true, func(e queue.Event) error {
		if e.Final && e.Seq == job.Seq {
			final = e
			return queue.ErrStop
		}
		return nil
	})
	if err != nil {
		return final, fmt.Errorf("wait for the end of job %d: %w", job.Seq, context.Cause(ctx))
	}
	if !final.Final {
		return final, fmt.Errorf("job %d has not ended: %w", job.Seq, context.Cause(ctx))
	}
	return final, nil
}

// running waits until a job's subprocess lives, by the record and by the witness.
func (d *demo) running(ctx context.Context, job published) (registry.OpenRun, error) {
	for {
		s, err := d.fleet.records.Get(ctx, job.Session)
		if err != nil {
			return registry.OpenRun{}, err
		}
		seen, err := d.seen(job.Session)
		if err != nil {
			return registry.OpenRun{}, err
		}
		if s.Run != nil && s.Run.Seq == job.Seq && s.Run.PID > 0 && len(seen) > 0 && seen[len(seen)-1].job == job.Job {
			return *s.Run, nil
		}
		if !rest(ctx, 10*time.Millisecond) {
			return registry.OpenRun{}, fmt.Errorf("wait for the start of job %d: %w", job.Seq, context.Cause(ctx))
		}
	}
}

// seen is what the witness noted about a session.
func (d *demo) seen(session string) ([]seen, error) { return witnesses(d.witness, session) }

// never checks that the witness saw no second live subprocess of the session.
func (d *demo) never(session string) {
	all, err := d.seen(session)
	overlap := err != nil
	for _, s := range all {
		overlap = overlap || s.mark == overlapMark
	}
	d.check(!overlap, "never two live subprocesses of the session (witness: a kernel lock that each one takes)")
}

// empties waits until no job of the session is left in the stream: a job is removed just after its final event.
func (d *demo) empties(ctx context.Context, session string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		waiting, err := d.fleet.queue.Waiting(ctx)
		if err != nil || waiting[session] == 0 {
			return err == nil
		}
		if !rest(ctx, 10*time.Millisecond) {
			return false
		}
	}
}

// letters reads the dead letters of a session.
func (d *demo) letters(ctx context.Context, session string) ([]queue.DeadLetter, error) {
	var all []queue.DeadLetter
	err := d.fleet.queue.DeadLetters(ctx, queue.DeadFilter{Session: session}, func(l queue.DeadLetter) error {
		all = append(all, l)
		return nil
	})
	return all, err
}

// gone tells whether a process does not exist any more.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// runs counts the witnessed starts of a job.
func runs(all []seen, job published) int {
	n := 0
	for _, s := range all {
		if s.job == job.Job {
			n++
		}
	}
	return n
}
