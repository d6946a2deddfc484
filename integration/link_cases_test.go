package integration

import (
	"bufio"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// parrot answers every line with itself and counts them.
func parrot(t *testing.T) (addr string, heard *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	heard = &atomic.Int32{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					heard.Add(1)
					fmt.Fprintln(c, lines.Text())
				}
			}()
		}
	}()
	return l.Addr().String(), heard
}

func TestLink(t *testing.T) {
	t.Parallel()
	addr, heard := parrot(t)
	k := newLink(t, addr)
	dial := func() (say func(string), hear func(bound time.Duration) (string, error)) {
		c, err := net.Dial("tcp", k.addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		r := bufio.NewReader(c)
		return func(s string) { fmt.Fprintln(c, s) }, func(bound time.Duration) (string, error) {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(bound)))
			return r.ReadString('\n')
		}
	}
	say, hear := dial()
	say("hello")
	got, err := hear(patience)
	require.NoError(t, err)
	require.Equal(t, "hello\n", got)

	k.slow(100 * time.Millisecond)
	began := time.Now()
	say("slowly")
	_, err = hear(patience)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 200*time.Millisecond)
	k.mend()

	k.cut()
	say("into the dark")
	_, err = hear(100 * time.Millisecond)
	require.Error(t, err)
	require.EqualValues(t, 2, heard.Load())
	k.mend()
	_, err = hear(patience)
	require.NoError(t, err, "what was kept back arrives")

	lost := k.loseAnswer([]byte("precious"))
	say("other")
	_, err = hear(patience)
	require.NoError(t, err)
	require.False(t, lost.tripped())
	say("precious")
	_, err = hear(patience)
	require.Error(t, err)
	require.True(t, lost.tripped())
	require.EqualValues(t, 5, heard.Load(), "the request was executed")

	say, hear = dial()
	kept := k.keepBack([]byte("later"))
	say("later")
	require.True(t, poll(patience, kept.tripped))
	_, err = hear(100 * time.Millisecond)
	require.Error(t, err)
	require.EqualValues(t, 5, heard.Load())
	kept.release()
	_, err = hear(patience)
	require.NoError(t, err)
}
