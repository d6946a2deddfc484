package worker

import (
	"context"
	"fmt"

	"curfew/queue"
	"curfew/registry"
)

// buryStray sets a job aside whose subject names no session. There is no lease
// for it and needs none: nothing of it will ever run, and what is published for
// it has ids of its own.
func (w *Worker) buryStray(ctx context.Context, held *heldHint) {
	a := &adoption{w: w, session: "invalid", log: w.log, hint: held}
	job, _ := queue.ParseJob(&held.Message)
	f := registry.Finished{
		RunKey: registry.RunKey{Seq: held.Seq}, Job: job.ID, Time: held.Time, Worker: w.cfg.ID, At: held.Time, Buried: true,
		Outcome: string(Invalid), Reason: fmt.Sprintf("the subject %q names no session: it must end in a lower-case UUID", held.Subject),
	}
	w.log.WithField("seq", held.Seq).Warn(f.Reason)
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"bury a job without a session", func(ctx context.Context) error { return w.q.Bury(ctx, &held.Message, letterOf(f), true) }},
		{"publish its final event", func(ctx context.Context) error { return w.q.Final(ctx, &held.Message, a.eventOf(f), true) }},
		{"remove it", func(ctx context.Context) error { return w.q.Remove(ctx, &held.Message) }},
	}
	for _, s := range steps {
		if err := a.try(ctx, s.what, s.do); err != nil {
			w.log.WithError(err).Warn("a job without a session could not be set aside, it comes again")
			return
		}
	}
	w.observe.JobEnded(f.Agent, Invalid)
	held.ack()
}
