package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"
)

// Options says where the servers keep their data and listen.
type Options struct {
	Data      string // a folder of our own, made when missing
	NATSPort  int    // 0, or taken already: any free one
	RedisPort int    // 0, or taken already: any free one
	Log       *logrus.Entry
}

// Stack is a running pair of servers. Close ends it.
type Stack struct {
	nats  *natsServer
	redis *redisServer
	lock  *os.File
}

// Start locks the data folder and starts both servers; when it answers, both take connections.
func Start(o Options) (*Stack, error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder of the embedded stack: %w", err)
	}
	lock, err := lockFolder(filepath.Join(o.Data, "lock"))
	if err != nil {
		return nil, err
	}
	s := &Stack{lock: lock}
	if s.nats, err = startNATS(filepath.Join(o.Data, "nats"), o.NATSPort, o.Log); err != nil {
		s.Close()
		return nil, err
	}
	if s.redis, err = startRedis(o.RedisPort); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// NATSURL is where the embedded nats-server listens.
func (s *Stack) NATSURL() string { return s.nats.url() }

// RedisURL is where the embedded Redis listens.
func (s *Stack) RedisURL() string { return s.redis.url() }

// Close stops both servers and gives the folder free. It may be called twice.
func (s *Stack) Close() {
	if s.redis != nil {
		s.redis.close()
		s.redis = nil
	}
	if s.nats != nil {
		s.nats.close()
		s.nats = nil
	}
	if s.lock != nil {
		s.lock.Close()
		s.lock = nil
	}
}

// errStart is wrapped by every failure of a server to start.
var errStart = errors.New("the embedded stack does not start")

// startTimeout bounds the start of a server; recovering large streams takes a while.
const startTimeout = 30 * time.Second
