package registry

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy stands between a client and Redis and loses what it is told to lose.
type proxy struct {
	addr     string
	upstream string
	lose     atomic.Int32 // so many answers are swallowed, and their connections closed; below 0: none
	requests atomic.Int32 // pieces that clients sent

	mu    sync.Mutex
	hole  chan struct{} // not nil: nothing passes until it is closed
	conns map[net.Conn]struct{}
}

func startProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{addr: l.Addr().String(), upstream: upstream, conns: map[net.Conn]struct{}{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		p.open()
		p.mu.Lock()
		defer p.mu.Unlock()
		for c := range p.conns {
			_ = c.Close()
		}
	})
	return p
}

// silence lets nothing pass in either direction: a cut cable, not a closed port.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hole == nil {
		p.hole = make(chan struct{})
	}
}

// open lets everything pass again, also what was held back.
func (p *proxy) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hole != nil {
		close(p.hole)
		p.hole = nil
	}
}

func (p *proxy) wait() {
	p.mu.Lock()
	hole := p.hole
	p.mu.Unlock()
	if hole != nil {
		<-hole
	}
}

func (p *proxy) serve(client net.Conn) {
	redis, err := net.DialTimeout("tcp", p.upstream, 5*time.Second)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[redis] = struct{}{}, struct{}{}
	p.mu.Unlock()
	end := func() {
		_, _ = client.Close(), redis.Close()
		p.mu.Lock()
		delete(p.conns, client)
		delete(p.conns, redis)
		p.mu.Unlock()
	}
	go func() {
		defer end()
		pass(client, redis, func() bool {
			p.wait()
			p.requests.Add(1)
			return true
		})
	}()
	defer end()
	pass(redis, client, func() bool {
		p.wait()
		return p.lose.Add(-1) < 0
	})
}

// pass copies until an end fails or ok says that this piece is lost.
func pass(from, to net.Conn, ok func() bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if !ok() {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
