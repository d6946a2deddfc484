package stack_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"curfew/cmd/internal/stack"
)

func start(t *testing.T, data string) *stack.Stack {
	t.Helper()
	s, err := stack.Start(stack.Options{Data: data, Log: logrus.NewEntry(logrus.New())})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestSecondStartOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data)
	_, err := stack.Start(stack.Options{Data: data, Log: logrus.NewEntry(logrus.New())})
	require.ErrorIs(t, err, stack.ErrLocked)
	require.ErrorContains(t, err, data, "names the folder")
	require.ErrorContains(t, err, "--data", "says what to do")

	s.Close()
	s.Close() // twice is fine
	start(t, data)
}

func TestStreamsOutliveARestart(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data)
	js := stream(t, s.NATSURL())
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}, MaxBytes: 20 << 30})
	require.NoError(t, err, "a bound above the free disk is no reservation of it")
	_, err = js.Publish(t.Context(), "kept", []byte("x"))
	require.NoError(t, err)
	s.Close()

	js = stream(t, start(t, data).NATSURL())
	kept, err := js.Stream(t.Context(), "KEPT")
	require.NoError(t, err)
	require.EqualValues(t, 1, kept.CachedInfo().State.Msgs)
}

func TestLargeJobsFit(t *testing.T) {
	t.Parallel()
	nc, err := nats.Connect(start(t, t.TempDir()).NATSURL())
	require.NoError(t, err)
	defer nc.Close()
	require.EqualValues(t, 8<<20, nc.MaxPayload())
}

func TestATakenPortIsGivenWay(t *testing.T) {
	t.Parallel()
	first := start(t, t.TempDir())
	js := stream(t, first.NATSURL())
	_, text, err := net.SplitHostPort(js.Conn().ConnectedAddr())
	require.NoError(t, err)
	taken, err := strconv.Atoi(text)
	require.NoError(t, err)
	second, err := stack.Start(stack.Options{Data: t.TempDir(), NATSPort: taken, Log: logrus.NewEntry(logrus.New())})
	require.NoError(t, err)
	defer second.Close()
	require.NotEqual(t, first.NATSURL(), second.NATSURL())
}

func TestTheClockOfRedisRuns(t *testing.T) {
	t.Parallel()
	opts, err := redis.ParseURL(start(t, t.TempDir()).RedisURL())
	require.NoError(t, err)
	c := redis.NewClient(opts)
	defer c.Close()

	now, err := c.Time(t.Context()).Result()
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), now, 5*time.Second, "TIME is the wall clock")

	began := time.Now()
	require.NoError(t, c.Set(t.Context(), "k", "v", 500*time.Millisecond).Err())
	require.Eventually(t, func() bool {
		return errors.Is(c.Get(t.Context(), "k").Err(), redis.Nil)
	}, 60*time.Second, 5*time.Millisecond, "keys run out by themselves")
	require.Greater(t, time.Since(began), 400*time.Millisecond, "and not at once")
}

func TestAFolderThatCannotBeMade(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := stack.Start(stack.Options{Data: file + "/data", Log: logrus.NewEntry(logrus.New())})
	require.Error(t, err)
}

func stream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = js.AccountInfo(ctx)
	require.NoError(t, err)
	return js
}
