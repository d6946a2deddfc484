package integration

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// stack is a pair of servers.
type stack struct {
	nats  *natsServer
	redis *redisServer
}

func (l *laboratory) newStack(dir string, kind redisKind) (*stack, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	redis, err := l.newRedis(dir, kind)
	if err != nil {
		return nil, err
	}
	nats, err := l.newNATS(dir)
	if err != nil {
		return nil, err
	}
	return &stack{nats: nats, redis: redis}, nil
}

// sharedStack serves every scenario that disturbs no server: a namespace of its own keeps them apart.
func sharedStack(tb testing.TB) *stack {
	tb.Helper()
	s, err := lab.shared()
	require.NoError(tb, err)
	return s
}

// ownStack serves one scenario, which may do with it as it likes.
func ownStack(tb testing.TB, kind redisKind) *stack {
	tb.Helper()
	if kind == realRedis {
		needRedis(tb)
	}
	dir, err := os.MkdirTemp(lab.dir, "stack") //nolint:usetesting // stays with the test run's files, which can be kept
	require.NoError(tb, err)
	s, err := lab.newStack(dir, kind)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		s.nats.kill()
		if s.redis.proc != nil {
			s.redis.kill()
		}
	})
	return s
}
