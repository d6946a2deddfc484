package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"curfew/queue"
)

const (
	// rouseLimit is how many stranded messages a round tells of.
	rouseLimit = 1000
	// rouseLook is how long a message has to be seen as stranded: one that is
	// being acknowledged is gone by then.
	rouseLook = time.Second
	// rouseAgain is when a session is told again of a job that is still stranded:
	// the wake is kept by the stream, so this is for one that was lost.
	rouseAgain = 10 * time.Minute
)

// rouse tells of jobs that lie in the stream and that its consumer will not
// deliver any more. Without it their sessions would wait for another job, or for
// their curfew.
func (s *sweeper) rouse(ctx context.Context) error {
	now := s.now()
	maps.DeleteFunc(s.roused, func(_ uint64, at time.Time) bool { return now.Sub(at) >= rouseAgain })
	var fresh []*queue.Message
	err := s.w.q.Stranded(ctx, func(m *queue.Message) error {
		if _, told := s.roused[m.Seq]; told {
			return s.walks.Wait(ctx) //nolint:wrapcheck // the end of ctx
		}
		if fresh = append(fresh, m); len(fresh) == rouseLimit {
			return queue.ErrStop
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for stranded jobs: %w", err)
	}
	if len(fresh) == 0 {
		return nil
	}
	select {
	case <-time.After(rouseLook):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, m := range fresh {
		if err := s.rouseOne(ctx, m); err != nil {
			return fmt.Errorf("tell of a stranded job: %w", err)
		}
	}
	return nil
}

func (s *sweeper) rouseOne(ctx context.Context, m *queue.Message) error {
	switch now, err := s.w.q.Get(ctx, m.Seq); {
	case errors.Is(err, queue.ErrNoMessage):
		return nil
	case err != nil:
		return err //nolint:wrapcheck // rouse does
	case now.Subject != m.Subject || !now.Time.Equal(m.Time):
		return nil // a stream made anew
	}
	log := s.w.log.WithField("seq", m.Seq).WithField("session", m.Session)
	if m.Session == "" && !m.Wake {
		if !s.w.buryStray(ctx, m) {
			return nil // it said why; the next round tries again
		}
		s.report.Roused++
		return nil
	}
	seq := m.Seq
	if m.Wake {
		seq = m.WakeSeq
	}
	if m.Session != "" {
		if err := s.w.q.Wake(ctx, m.Session, seq); err != nil {
			return err //nolint:wrapcheck // rouse does
		}
	}
	if m.Wake {
		if err := s.w.q.Remove(ctx, m); err != nil {
			return err //nolint:wrapcheck // rouse does
		}
	}
	log.WithField("since", m.Time.Format(time.RFC3339)).Warn("nobody would have been told of this job any more: its session is woken")
	s.roused[m.Seq] = s.now()
	s.report.Roused++
	s.w.observe.JobRoused()
	return nil
}
