package process

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStdin(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"empty": 0, "small": 100, "a pipe full": 64 << 10, "one more": 64<<10 + 1, "7 MiB": 7 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := bytes.Repeat([]byte("0123456"), size/7+1)[:size]
			s := child("cat")
			s.Stdin = body
			p, r := run(t, s)
			require.Equal(t, "code 0", end(t, p, r).String())
			require.True(t, string(body) == r.all(), "all of it, then EOF")
		})
		t.Run(name+", never read", func(t *testing.T) {
			t.Parallel()
			s := child("deafstdin")
			s.Stdin = make([]byte, size)
			p, r := run(t, s)
			require.Equal(t, "code 7", end(t, p, r).String())
		})
	}
	t.Run("held open and never read", func(t *testing.T) {
		t.Parallel()
		s := Spec{Path: "/bin/sh", Args: []string{"-c", "exec 3<&0; setsid sleep 30 >/dev/null 2>&1 & exit 3"}, Env: []string{"PATH=/usr/bin:/bin"}}
		s.Stdin = make([]byte, 7<<20)
		p, r := run(t, s)
		require.Equal(t, "code 3", end(t, p, r).String())
	})
}
