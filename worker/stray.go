package worker

import (
	"context"
	"fmt"

	"curfew/queue"
	"curfew/registry"
)

// buryStray sets a job aside whose subject names no session. There is no lease
// for it and needs none: nothing of it will ever run, and what is published for
// it has ids of its own. It answers whether the job is out of the stream.
func (w *Worker) buryStray(ctx context.Context, m *queue.Message) bool {
	a := &adoption{w: w, session: "invalid", log: w.log}
	job, _ := queue.ParseJob(m)
	f := registry.Finished{
		RunKey: registry.RunKey{Seq: m.Seq}, Job: job.ID, Time: m.Time, Worker: w.cfg.ID, At: m.Time, Buried: true,
		Outcome: string(Invalid), Reason: fmt.Sprintf("the subject %q names no session: it must end in a lower-case UUID", m.Subject),
	}
	w.log.WithField("seq", m.Seq).Warn(f.Reason)
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"bury a job without a session", func(ctx context.Context) error { return w.q.Bury(ctx, m, letterOf(f), true) }},
		{"publish its final event", func(ctx context.Context) error { return w.q.Final(ctx, m, a.eventOf(f), true) }},
		{"remove it", func(ctx context.Context) error { return w.q.Remove(ctx, m) }},
	}
	for _, s := range steps {
		if err := a.try(ctx, s.what, s.do); err != nil {
			w.log.WithError(err).Warn("a job without a session could not be set aside, it comes again")
			return false
		}
	}
	w.observe.JobEnded(f.Agent, Invalid)
	return true
}
