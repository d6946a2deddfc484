package board

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"curfew/queue"
	"curfew/registry"
)

const (
	refreshEvery = time.Second      // while somebody looks
	freshFor     = 3 * time.Second  // a view is waited for where the last one is older
	depthEvery   = 10 * time.Second // always
	watchedFor   = 15 * time.Second // somebody looks: a view was asked for within this time
	keptFor      = 5 * time.Minute  // what is known is forgotten when nobody looked for so long
	busyShare    = 5                // after a costly answer it rests this many times as long as it took
)

// Records is what is asked of the sessions' records.
type Records interface {
	Changes(ctx context.Context, from registry.Cursor, anew func(), each func(registry.Snapshot, error)) (registry.Cursor, error)
	Halt(ctx context.Context) (registry.Halt, error)
}

// Streams is what is asked of the queue.
type Streams interface {
	Up() bool
	Depth(ctx context.Context) (queue.Depth, error)
	Waiting(ctx context.Context) (map[string]uint64, error)
	RollCall(ctx context.Context, quiet time.Duration, each func([]byte) (more bool)) error
}

// Board keeps the view. Only the goroutine of Run touches what it has learned; View may be called from any.
type Board struct {
	records Records
	streams Streams
	log     *logrus.Entry

	shown   atomic.Pointer[shown]
	looked  atomic.Int64  // when a view was asked for last, unix ns
	someone chan struct{} // capacity 1: sent by View when it waits, taken by Run

	known     knowledge
	history   history
	rested    time.Time // no refresh before
	failing   bool
	lastReply time.Time // when everything was answered last
}

// shown is a view, and next is closed by Run when there is a newer one.
type shown struct {
	view *View
	next chan struct{}
}

// New makes a board. Nothing is asked before Run.
func New(r Records, s Streams, log *logrus.Entry) *Board {
	b := &Board{records: r, streams: s, log: log, someone: make(chan struct{}, 1)}
	b.shown.Store(unknown())
	return b
}

// unknown is what is shown before anything was learned.
func unknown() *shown { return &shown{view: &View{Loading: true}, next: make(chan struct{})} }

// View is what is known; it must not be changed. Where that is some seconds old, because nobody looked, it waits for
// something newer until ctx ends.
func (b *Board) View(ctx context.Context) *View {
	b.looked.Store(time.Now().UnixNano())
	for {
		s := b.shown.Load()
		if time.Since(s.view.At) < freshFor {
			return s.view
		}
		select {
		case b.someone <- struct{}{}:
		default:
		}
		select {
		case <-s.next:
		case <-ctx.Done():
			return b.shown.Load().view
		}
	}
}

// Run asks the servers until ctx ends.
func (b *Board) Run(ctx context.Context) {
	sample := time.NewTicker(depthEvery)
	defer sample.Stop()
	refresh := time.NewTimer(0)
	defer refresh.Stop()
	b.sample(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-sample.C:
			b.sample(ctx)
			continue
		case <-b.someone:
			if time.Now().Before(b.rested) {
				continue // the timer is about to
			}
		case <-refresh.C:
		}
		switch unseen := time.Since(time.Unix(0, b.looked.Load())); {
		case unseen <= watchedFor:
			began := time.Now()
			b.refresh(ctx)
			rest := max(refreshEvery, busyShare*time.Since(began))
			b.rested = time.Now().Add(rest)
			refresh.Reset(rest)
		case unseen > keptFor:
			b.known = knowledge{}
			b.show(unknown())
		default:
			refresh.Reset(keptFor)
		}
	}
}

// sample notes how deep the queue is.
func (b *Board) sample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	d, err := b.streams.Depth(ctx)
	if err != nil {
		b.log.WithError(err).Debug("the queue's depth could not be read")
		return
	}
	b.history.add(time.Now(), d.Jobs)
}

// refresh asks for what changed and publishes a new view.
func (b *Board) refresh(ctx context.Context) {
	err := b.known.learn(ctx, b.records, b.streams)
	now := time.Now()
	if err == nil {
		b.lastReply = now
	}
	if ctx.Err() != nil {
		return
	}
	if failing := err != nil; failing != b.failing {
		b.failing = failing
		if failing {
			b.log.WithError(err).Info("the page shows what it saw last: a question to the servers failed")
		}
	}
	v := b.known.view(now)
	v.Depth, v.Letters = b.history.points(now), b.known.depth.Letters
	if !b.known.counted.IsZero() {
		v.Depth = append(v.Depth, Point{now, b.known.depth.Jobs})
	}
	v.Stale = err != nil
	v.AsOf = b.lastReply
	b.show(&shown{view: v, next: make(chan struct{})})
}

func (b *Board) show(s *shown) { close(b.shown.Swap(s).next) }
