package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"curfew/queue"
	"curfew/registry"
)

// act is one part of the demonstration.
type act struct {
	title string
	play  func(context.Context, *demo) error
}

func acts() []act {
	return []act{
		{"One live subprocess per session, jobs in the order of their publishing", playOrder},
		{"A SIGTERM from outside finishes the job: it is not started again", playTerminated},
		{"A crash is retried; what keeps crashing is set aside, and nothing is lost", playCrash},
		{"A dead letter is replayed once its cause is repaired", playReplay},
		{"At its curfew a live session is ended, and its waiting jobs are set aside", playCurfew},
		{"--conflict replace: the live run is stopped, then the new job runs", playReplace},
		{"--conflict reject: refused while a run is live", playReject},
		{"A predecessor that ignores SIGTERM is dead before its successor starts", playStubborn},
		{"A worker that drains hands its job back, and another worker runs it", playDrain},
	}
}

func playOrder(ctx context.Context, d *demo) error {
	session := newSession()
	var jobs []published
	for range 4 {
		job, err := d.publish(ctx, session, "lines 1", nil)
		if err != nil {
			return err
		}
		jobs = append(jobs, job)
	}
	d.tell("4 jobs at once for session %s, two workers with free slots", session)
	succeeded := 0
	for _, job := range jobs {
		e, err := d.final(ctx, job)
		if err != nil {
			return err
		}
		if e.Outcome == "succeeded" {
			succeeded++
		}
	}
	all, err := d.seen(session)
	if err != nil {
		return err
	}
	inOrder := slices.EqualFunc(all, jobs, func(s seen, p published) bool { return s.job == p.Job })
	d.check(succeeded == len(jobs), "all of them succeeded")
	d.check(inOrder, "each was started once, in the order of their publishing")
	d.never(session)
	return nil
}

func playTerminated(ctx context.Context, d *demo) error {
	session := newSession()
	job, err := d.publish(ctx, session, "sleep 1m", nil)
	if err != nil {
		return err
	}
	run, err := d.running(ctx, job)
	if err != nil {
		return err
	}
	d.tell("kill -TERM %d, as somebody at a shell might", run.PID)
	if err := syscall.Kill(run.PID, syscall.SIGTERM); err != nil {
		return err
	}
	e, err := d.final(ctx, job)
	if err != nil {
		return err
	}
	d.check(e.Outcome == "terminated", "the job ended as terminated (it says %s)", e.Outcome)
	next, err := d.publish(ctx, session, "lines 1", nil)
	if err != nil {
		return err
	}
	if e, err = d.final(ctx, next); err != nil {
		return err
	}
	d.check(e.Outcome == "succeeded", "the session stays usable: its next job ran")
	all, err := d.seen(session)
	if err != nil {
		return err
	}
	d.check(runs(all, job) == 1, "the terminated job was started once and never again")
	d.check(d.empties(ctx, session), "the session's jobs are gone from the stream")
	return nil
}

func playCrash(ctx context.Context, d *demo) error {
	d.cure = filepath.Join(d.dir, "cure")
	session := newSession()
	job, err := d.publish(ctx, session, "needs "+d.cure, nil)
	if err != nil {
		return err
	}
	d.tell("a job that exits with code 3, of which %d attempts are allowed", d.config.Retry.Attempts)
	e, err := d.final(ctx, job)
	if err != nil {
		return err
	}
	all, err := d.seen(session)
	if err != nil {
		return err
	}
	d.check(e.Outcome == "crashed", "it ended as crashed (it says %s)", e.Outcome)
	d.check(runs(all, job) == d.config.Retry.Attempts, "it was started %d times", runs(all, job))
	letters, err := d.letters(ctx, session)
	if err != nil {
		return err
	}
	if len(letters) == 1 {
		d.letter = letters[0]
	}
	d.check(len(letters) == 1 && letters[0].JobSeq == job.Seq && letters[0].Exit == "3", "it is a dead letter, with its input and exit code")
	d.never(session)
	return nil
}

func playReplay(ctx context.Context, d *demo) error {
	if err := os.WriteFile(d.cure, nil, 0o600); err != nil {
		return err
	}
	d.tell("the file it needs is there now; curfew dead retry %s", d.letter.ID)
	got, err := d.fleet.queue.Replay(ctx, d.letter, "")
	if err != nil {
		return err
	}
	e, err := d.final(ctx, published{Session: d.letter.Session, Seq: got.Seq})
	if err != nil {
		return err
	}
	left, err := d.letters(ctx, d.letter.Session)
	if err != nil {
		return err
	}
	d.check(e.Outcome == "succeeded", "the same job succeeded (it says %s)", e.Outcome)
	d.check(len(left) == 0, "the letter is gone")
	return nil
}

func playCurfew(ctx context.Context, d *demo) error {
	session := newSession()
	brief := func(j *queue.NewJob) { j.Agent = "brief" }
	var jobs []published
	for range 3 {
		job, err := d.publish(ctx, session, "ignore-term; sleep 1m", brief)
		if err != nil {
			return err
		}
		jobs = append(jobs, job)
	}
	run, err := d.running(ctx, jobs[0])
	if err != nil {
		return err
	}
	d.tell("session %s may live for %s: process %d runs and ignores SIGTERM, 2 jobs wait", session, demoMaxAge, run.PID)
	expired := 0
	for _, job := range jobs {
		e, err := d.final(ctx, job)
		if err != nil {
			return err
		}
		if e.Outcome == "expired" {
			expired++
		}
	}
	s, err := d.fleet.records.Get(ctx, session)
	if err != nil {
		return err
	}
	late := time.Since(s.Curfew())
	d.check(expired == len(jobs), "all three ended as expired")
	d.check(late > 0 && late < demoGrace+10*time.Second, "not before the curfew, and soon after (%s)", late.Round(10*time.Millisecond))
	d.check(gone(run.PID), "process %d is gone", run.PID)
	d.check(s.State(time.Now()) == registry.StateExpired, "the session is expired for good")
	letters, err := d.letters(ctx, session)
	if err != nil {
		return err
	}
	d.check(len(letters) == len(jobs), "its three jobs are dead letters, replayable into a new session")
	return d.playLate(ctx, session)
}

// playLate shows that an expired session stays expired.
func (d *demo) playLate(ctx context.Context, session string) error {
	before, err := d.seen(session)
	if err != nil {
		return err
	}
	job, err := d.publish(ctx, session, "lines 1", nil)
	if err != nil {
		return err
	}
	e, err := d.final(ctx, job)
	if err != nil {
		return err
	}
	after, err := d.seen(session)
	if err != nil {
		return err
	}
	d.check(e.Outcome == "expired" && e.Attempt == 0 && len(after) == len(before), "a later job of the session is set aside without being started")
	return nil
}

func playDrain(ctx context.Context, d *demo) error {
	session := newSession()
	job, err := d.publish(ctx, session, "sleep 2s", nil)
	if err != nil {
		return err
	}
	run, err := d.running(ctx, job)
	if err != nil {
		return err
	}
	for _, w := range d.workers {
		if w.node.id == run.Worker {
			d.tell("worker %s runs it and is told to drain, with %s of patience", run.Worker, d.config.Worker.DrainTimeout)
			w.node.worker.Drain()
			w.done.Wait()
		}
	}
	d.check(gone(run.PID), "the drained worker left no subprocess behind")
	e, err := d.final(ctx, job)
	if err != nil {
		return err
	}
	letters, err := d.letters(ctx, session)
	if err != nil {
		return err
	}
	d.check(e.Worker != run.Worker && e.Outcome == "succeeded", "worker %s ran it to its end (%s)", e.Worker, e.Outcome)
	d.check(len(letters) == 0, "nothing was set aside")
	d.never(session)
	return nil
}
