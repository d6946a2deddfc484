package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrLive is answered when a run is to be registered although another run of
// its session, or one of the same ID, is still alive on this host.
var ErrLive = errors.New("a run of this session is still alive on this host")

// Run is the part of a live subprocess that the table needs.
type Run interface {
	// Done is closed once the subprocess has exited.
	Done() <-chan struct{}
	// Stop begins to end the subprocess because of cause and does not wait.
	// It must see to it that Done is closed in bounded time. Only the first
	// call counts.
	Stop(cause error)
}

// Entry is one live run. ID tells two runs of one session apart.
type Entry struct {
	ID      string
	Session string
	PID     int
	Fence   uint64
	Started time.Time
	Run     Run
}

func (e Entry) exited() bool {
	select {
	case <-e.Run.Done():
		return true
	default:
		return false
	}
}

// Table holds the runs that are alive on this host, one per session at most.
// An entry is in it until its subprocess has exited, signalled or not, and an
// exited one is never seen, even where it was not cleared away yet. Any number
// of goroutines may use a table at once.
type Table struct {
	mu       sync.Mutex
	bySess   map[string]Entry
	sessions map[string]string // run ID -> session
	starts   map[string]*turn
}

// turn makes the starts of one session wait for each other.
type turn struct {
	token chan struct{} // capacity 1: whoever puts into it has the turn
	users int           // those who have it or wait for it; guarded by Table.mu
}

// NewTable answers an empty table.
func NewTable() *Table {
	return &Table{bySess: map[string]Entry{}, sessions: map[string]string{}, starts: map[string]*turn{}}
}

// Register adds a run. ErrLive: its session, or its ID, has a live run here.
func (t *Table) Register(e Entry) error {
	if e.ID == "" || e.Session == "" || e.Run == nil {
		return fmt.Errorf("register run %q of session %q: ID, session and run are needed", e.ID, e.Session)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.live(e.Session); ok {
		return fmt.Errorf("register run %s of session %s: run %s, pid %d: %w", e.ID, e.Session, old.ID, old.PID, ErrLive)
	}
	if s, ok := t.sessions[e.ID]; ok {
		if _, ok := t.live(s); ok {
			return fmt.Errorf("register run %s of session %s: its ID is in use by session %s: %w", e.ID, e.Session, s, ErrLive)
		}
	}
	t.bySess[e.Session] = e
	t.sessions[e.ID] = e.Session
	go func() {
		<-e.Run.Done()
		t.Unregister(e.ID)
	}()
	return nil
}

// live answers the session's run and clears away one that has exited.
// The caller holds mu.
func (t *Table) live(session string) (Entry, bool) {
	e, ok := t.bySess[session]
	if ok && e.exited() {
		t.drop(e)
		return Entry{}, false
	}
	return e, ok
}

func (t *Table) drop(e Entry) {
	delete(t.bySess, e.Session)
	delete(t.sessions, e.ID)
}

// Unregister removes the run of this ID and no other. A run that is still
// alive stays: it leaves by itself when it has exited.
func (t *Table) Unregister(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.sessions[id]; ok {
		t.live(s)
	}
}

// BySession answers the live run of a session.
func (t *Table) BySession(session string) (Entry, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live(session)
}

// Active answers all live runs, in no order.
func (t *Table) Active() []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Entry, 0, len(t.bySess))
	for _, e := range t.bySess {
		if !e.exited() {
			all = append(all, e)
		}
	}
	return all
}

// Count answers how many runs are alive.
func (t *Table) Count() int { return len(t.Active()) }

// Start brings a new run of the session to life. A live predecessor is stopped
// with cause and has exited before spawn is called, however long its own
// grace takes; ctx bounds the wait, and then nothing is spawned. Starts of one
// session wait for each other. The entry that spawn answers is registered; it
// must name this session.
func (t *Table) Start(ctx context.Context, session string, cause error, spawn func(context.Context) (Entry, error)) (Entry, error) {
	done, err := t.takeTurn(ctx, session)
	if err != nil {
		return Entry{}, fmt.Errorf("start a run of session %s: waiting for another start: %w", session, err)
	}
	defer done()
	if old, ok := t.BySession(session); ok {
		old.Run.Stop(cause)
		select {
		case <-old.Run.Done():
		case <-ctx.Done():
			return Entry{}, fmt.Errorf("start a run of session %s: waiting for pid %d to exit: %w", session, old.PID, context.Cause(ctx))
		}
	}
	if err := ctx.Err(); err != nil {
		return Entry{}, fmt.Errorf("start a run of session %s: %w", session, context.Cause(ctx))
	}
	e, err := spawn(ctx)
	if err != nil {
		return Entry{}, err
	}
	if e.Session != session {
		err = fmt.Errorf("start a run of session %s: spawned one of %q", session, e.Session)
	} else {
		err = t.Register(e)
	}
	if err != nil { // it lives and nobody would know of it
		if e.Run != nil {
			e.Run.Stop(err)
		}
		return Entry{}, err
	}
	return e, nil
}

// takeTurn waits until no other start of the session is under way.
func (t *Table) takeTurn(ctx context.Context, session string) (done func(), err error) {
	t.mu.Lock()
	s := t.starts[session]
	if s == nil {
		s = &turn{token: make(chan struct{}, 1)}
		t.starts[session] = s
	}
	s.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if s.users--; s.users == 0 {
			delete(t.starts, session)
		}
	}
	select {
	case s.token <- struct{}{}:
		return func() { <-s.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
