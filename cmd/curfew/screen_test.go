package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// writes notes each write by itself.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestAScreenIsOneWriteThatFits(t *testing.T) {
	t.Parallel()
	var w writes
	s := &screen{w: &w, size: func() (int, int) { return 10, 3 }}
	require.NoError(t, s.show("a line that is too long\nb\nc\nd\n"))
	require.NoError(t, s.show("short\n"))
	require.Equal(t, writes{
		"\x1b[Ha line th…\x1b[K\r\nb\x1b[K\r\n... more …\x1b[K\x1b[J",
		"\x1b[Hshort\x1b[K\x1b[J",
	}, w)
	require.NotContains(t, strings.Join(w, ""), "\x1b[2J", "blanking first is what flickers")
}
