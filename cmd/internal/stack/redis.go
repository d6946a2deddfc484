package stack

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// tick is how often keys age. A key that was set between two ticks loses the whole tick, so it may run out that much
// early, never late: far inside the margin of a lease.
const tick = 50 * time.Millisecond

// redisServer is miniredis with a clock that runs. Its wall clock (TIME) is the machine's; only the ttl of its keys
// stands still by itself, so a ticker takes off the time that really passed.
type redisServer struct {
	server *miniredis.Miniredis
	stop   chan struct{} // closed by close
	done   chan struct{} // closed when the ticker has ended
}

func startRedis(port int) (*redisServer, error) {
	s := miniredis.NewMiniRedis()
	if port > 0 && taken(port) {
		port = 0
	}
	if err := s.StartAddr(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		return nil, fmt.Errorf("%w: miniredis: %w", errStart, err)
	}
	r := &redisServer{server: s, stop: make(chan struct{}), done: make(chan struct{})}
	go r.age()
	return r, nil
}

// age lets keys grow old. Elapsed time is measured rather than assumed: a ticker drops ticks under load.
func (r *redisServer) age() {
	defer close(r.done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
			now := time.Now()
			r.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (r *redisServer) url() string { return "redis://" + r.server.Addr() + "/0" }

func (r *redisServer) close() {
	close(r.stop)
	<-r.done
	r.server.Close()
}
