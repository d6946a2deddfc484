package queue

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// DeadLetter is one dead letter.
type DeadLetter struct {
	ID       string // its sequence in the dead stream, decimal
	Session  string // "" where the job named none
	Job      string
	JobSeq   uint64
	Reason   string
	Outcome  string
	Attempts int
	Exit     string
	At       time.Time // when it was buried
	Stderr   []byte
	Header   Header // the job's own
	Body     []byte
}

// DeadFilter chooses dead letters; zero values choose all.
type DeadFilter struct {
	Session string    // a session, or "invalid" for those that named none
	Reason  string    // the whole reason, or what stands before its colon
	Since   time.Time // buried then or later
}

// DeadLetters calls each for every letter that matches, in the order of burying. ErrStop ends it without an error.
func (q *Queue) DeadLetters(ctx context.Context, f DeadFilter, each func(DeadLetter) error) error {
	subject, err := target(q.names.AllDead, f.Session)
	if err != nil {
		return err
	}
	from := uint64(1)
	if !f.Since.IsZero() {
		if from, err = q.seqAt(ctx, q.names.Dead, f.Since); err != nil {
			return err
		}
	}
	return stopped(q.walk(ctx, q.names.Dead, subject, from, func(s *stored) error {
		d := q.deadLetter(s)
		if f.Reason != "" && d.Reason != f.Reason && !strings.HasPrefix(d.Reason, f.Reason+":") {
			return nil
		}
		return each(d)
	}))
}

func stopped(err error) error {
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// DeadLetter answers one letter, or ErrNoMessage.
func (q *Queue) DeadLetter(ctx context.Context, id string) (DeadLetter, error) {
	s, err := q.findLetter(ctx, id)
	if err != nil {
		return DeadLetter{}, err
	}
	return q.deadLetter(s), nil
}

func (q *Queue) findLetter(ctx context.Context, id string) (*stored, error) {
	seq, err := strconv.ParseUint(id, 10, 64)
	if err != nil || seq == 0 {
		return nil, fmt.Errorf("dead letter %+.40q: %w (ids are numbers: `curfew dead ls`)", id, ErrNoMessage)
	}
	s, err := q.find(ctx, q.names.Dead, lookup{Seq: seq})
	if err != nil {
		return nil, fmt.Errorf("dead letter %d: %w", seq, err)
	}
	return s, nil
}

// deadLetter reads leniently: a letter that somebody else wrote there is shown as far as it can be.
func (q *Queue) deadLetter(s *stored) DeadLetter {
	h := s.header
	d := DeadLetter{
		ID: strconv.FormatUint(s.Seq, 10), Session: sessionIn(q.names.AllDead, s.Subject), At: s.Time,
		Job: h.first(jobHeader), Reason: h.first(reasonHeader), Outcome: h.first(outcomeHeader), Exit: h.first(exitHeader),
		Header: Header(carried(h, letterHeaders())), Body: s.Data,
	}
	d.JobSeq, _ = strconv.ParseUint(h.first(seqHeader), 10, 64)
	d.Attempts, _ = strconv.Atoi(h.first(attemptsHeader))
	d.Stderr, _ = base64.StdEncoding.DecodeString(h.first(stderrHeader))
	return d
}

// Replay publishes the letter's job again, into its own session or the given one, and removes the letter once that was
// acknowledged as stored, now or by an earlier Replay. ErrBacklogFull and every other error keep the letter. ErrNoMessage: it is gone,
// replayed or dropped by somebody else. Into another session the job does not take Curfew-Created-At along, which
// would make that one as old as its own.
func (q *Queue) Replay(ctx context.Context, d DeadLetter, session string) (Published, error) {
	s, err := q.findLetter(ctx, d.ID)
	if err != nil {
		return Published{}, err
	}
	now := q.deadLetter(s)
	if !d.At.IsZero() && !d.At.Equal(now.At) {
		return Published{}, fmt.Errorf("dead letter %s is another one now: %w", d.ID, ErrNoMessage)
	}
	info, err := q.streamInfo(ctx, q.names.Dead)
	if err != nil {
		return Published{}, err
	}
	to, leave := now.Session, map[string]bool{}
	if session != "" && session != now.Session {
		to = session
		leave[strings.ToLower(createdAtHeader)] = true
	}
	if !ValidSession(to) {
		return Published{}, invalidf("dead letter %s names no session to replay into: give one", d.ID)
	}
	m := &nats.Msg{Subject: q.names.JobSubject(to), Data: now.Body, Header: carried(now.Header, leave)}
	p, err := q.publishJob(ctx, m, retryPrefix+string(identityOf(info))+":"+now.ID)
	if err != nil {
		return Published{}, fmt.Errorf("replaying dead letter %s: %w", d.ID, err)
	}
	if err := q.DropLetter(ctx, d.ID); err != nil && !errors.Is(err, ErrNoMessage) {
		return p, fmt.Errorf("dead letter %s was replayed as %d, but not removed: %w", d.ID, p.Seq, err)
	}
	return p, nil
}

// DropLetter removes a letter for good; ErrNoMessage where there is none.
func (q *Queue) DropLetter(ctx context.Context, id string) error {
	s, err := q.findLetter(ctx, id)
	if err != nil {
		return err
	}
	err = q.retry(ctx, func(ctx context.Context) error { return q.erase(ctx, q.names.Dead, s.Seq) })
	if err != nil && !errors.Is(err, ErrNoMessage) {
		return fmt.Errorf("dropping dead letter %s: %w", id, err)
	}
	return nil
}
