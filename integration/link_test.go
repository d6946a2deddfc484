package integration

import (
	"bytes"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// link stands between one worker and one server. It can be cut, slow, lose one answer, or keep one request back.
type link struct {
	addr     string
	upstream string
	listener net.Listener

	mu    sync.Mutex
	hole  chan struct{} // not nil: nothing passes in either direction until it is closed
	delay time.Duration // of every piece, in each direction
	wires []*wire
	conns map[net.Conn]struct{}
}

// wire waits for one request that holds the given bytes.
type wire struct {
	match   []byte
	hold    chan struct{} // the request waits until it is closed; nil: its answer is lost instead
	reached chan struct{} // closed when the request was kept back, or its answer lost
}

func newLink(tb testing.TB, upstream string) *link {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	k := &link{addr: l.Addr().String(), upstream: upstream, listener: l, conns: map[net.Conn]struct{}{}}
	go k.accept()
	tb.Cleanup(k.close)
	return k
}

func (k *link) accept() {
	for {
		c, err := k.listener.Accept()
		if err != nil {
			return
		}
		go k.serve(c)
	}
}

func (k *link) close() {
	_ = k.listener.Close()
	k.mend()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.wires {
		w.release()
	}
	for c := range k.conns {
		_ = c.Close()
	}
}

// cut lets nothing pass: a pulled cable, not a closed port.
func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hole == nil {
		k.hole = make(chan struct{})
	}
}

// mend lets everything pass again at full speed, also what was kept back, and loses no answer that is not lost yet.
func (k *link) mend() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.delay = 0
	k.wires = slices.DeleteFunc(k.wires, func(w *wire) bool { return w.hold == nil })
	if k.hole != nil {
		close(k.hole)
		k.hole = nil
	}
}

// slow holds every piece up for d in each direction, without narrowing the pipe.
func (k *link) slow(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.delay = d
}

// loseAnswer swallows the answer to the next request with these bytes, which is executed, and ends its connection.
func (k *link) loseAnswer(match []byte) *wire { return k.lay(&wire{match: match}) }

// keepBack holds the next request with these bytes, and all that follows it on its connection, until release.
func (k *link) keepBack(match []byte) *wire {
	return k.lay(&wire{match: match, hold: make(chan struct{})})
}

func (k *link) lay(w *wire) *wire {
	w.reached = make(chan struct{})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wires = append(k.wires, w)
	return w
}

func (w *wire) release() {
	if w.hold == nil {
		return
	}
	select {
	case <-w.hold:
	default:
		close(w.hold)
	}
}

func (w *wire) tripped() bool {
	select {
	case <-w.reached:
		return true
	default:
		return false
	}
}

// trip takes the wire that this piece touches, if any.
func (k *link) trip(piece []byte) *wire {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, w := range k.wires {
		if bytes.Contains(piece, w.match) {
			k.wires = append(k.wires[:i:i], k.wires[i+1:]...)
			return w
		}
	}
	return nil
}

// state is what a piece that comes now has to wait for.
func (k *link) state() (hole chan struct{}, delay time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hole, k.delay
}

func (k *link) serve(client net.Conn) {
	server, err := net.DialTimeout("tcp", k.upstream, 5*time.Second)
	if err != nil {
		_ = client.Close()
		return
	}
	k.mu.Lock()
	k.conns[client], k.conns[server] = struct{}{}, struct{}{}
	k.mu.Unlock()
	end := sync.OnceFunc(func() {
		_, _ = client.Close(), server.Close()
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.conns, client)
		delete(k.conns, server)
	})
	lost := make(chan *wire, 1) // the wire whose answer is to be swallowed
	go k.pass(client, server, end, func(piece []byte) bool {
		w := k.trip(piece)
		switch {
		case w == nil:
		case w.hold == nil:
			lost <- w
		default:
			close(w.reached)
			<-w.hold
		}
		return true
	})
	k.pass(server, client, end, func([]byte) bool {
		select {
		case w := <-lost:
			close(w.reached)
			return false
		default:
			return true
		}
	})
}

// pass copies until an end fails, or ok says that a piece is lost.
func (k *link) pass(from, to net.Conn, end func(), ok func([]byte) bool) {
	type piece struct {
		data []byte
		due  time.Time
	}
	queue := make(chan piece, 4096)
	go func() {
		defer close(queue)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if n > 0 {
				_, delay := k.state()
				queue <- piece{b[:n], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	broken := false
	for p := range queue { // to its end, so that the reader never waits
		if broken {
			continue
		}
		<-time.After(time.Until(p.due))
		for hole, _ := k.state(); hole != nil; hole, _ = k.state() {
			<-hole
		}
		if !ok(p.data) {
			broken = true
		} else if _, err := to.Write(p.data); err != nil {
			broken = true
		}
		if broken {
			end()
		}
	}
	end()
}

// linked is a worker with both its lines in the test's hands.
type linked struct {
	*worker
	id          string // worker.id: of this host alone, for who starts under one ends what it left
	nats, redis *link
}

// launchLinked starts a worker behind links of its own and does not wait for it.
func (w *world) launchLinked(name string, options ...workerOptions) *linked {
	w.t.Helper()
	x := &linked{
		id:    w.ns + "-" + name,
		nats:  newLink(w.t, hostPort(w.stack.nats.port)),
		redis: newLink(w.t, hostPort(w.stack.redis.port)),
	}
	x.worker = w.launch(name, append(options, workerOptions{change: func(c *config) {
		c.Worker.ID = x.id
		c.NATS.URL, c.Redis.URL = "nats://"+x.nats.addr, "redis://"+x.redis.addr+"/0"
	}})...)
	return x
}

func (w *world) linked(name string, options ...workerOptions) *linked {
	w.t.Helper()
	x := w.launchLinked(name, options...)
	w.untilReady(x.worker)
	return x
}
