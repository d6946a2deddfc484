//go:build linux

package supervisor

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessages(t *testing.T) {
	t.Parallel()
	for _, m := range []message{
		{kind: kindOpen, id: "a", deadline: math.MaxInt64},
		{kind: kindOpen, id: strings.Repeat("x", maxID), deadline: -1, cgroup: strings.Repeat("/y", maxCgroup/2)},
		{kind: kindSpawned, id: "token/17", pid: 1 << 22},
		{kind: kindRenew, id: "a", deadline: 1},
		{kind: kindClose, id: "a"},
		{kind: kindDrain},
		{kind: kindHandBack},
	} {
		b, err := m.encode()
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), maxMessage)
		got, err := decode(b)
		require.NoError(t, err)
		require.Equal(t, m, got)
		_, err = decode(b[:messageHead-1])
		require.ErrorIs(t, err, errMessage)
	}
	for _, m := range []message{
		{kind: kindOpen},
		{kind: kindOpen, id: strings.Repeat("x", maxID+1)},
		{kind: kindOpen, id: "a", cgroup: strings.Repeat("x", maxCgroup+1)},
	} {
		_, err := m.encode()
		require.ErrorIs(t, err, errMessage)
	}
}

func FuzzDecode(f *testing.F) {
	whole, err := message{kind: kindOpen, id: "a", cgroup: "/c"}.encode()
	require.NoError(f, err)
	f.Add(whole)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		if again, err := m.encode(); err == nil {
			require.Equal(t, b, again)
		}
	})
}
