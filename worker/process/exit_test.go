package process

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestExit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec   Spec
		code   int
		signal syscall.Signal
		text   string
		term   bool
	}{
		"good":          {spec: child("exit", "0"), text: "code 0"},
		"code":          {spec: child("exit", "42"), code: 42, text: "code 42"},
		"143 is a TERM": {spec: child("exit", "143"), code: 143, text: "code 143", term: true},
		"137 is a code": {spec: child("exit", "137"), code: 137, text: "code 137"},
		"TERM":          {spec: child("die", strconv.Itoa(int(syscall.SIGTERM))), code: -1, signal: syscall.SIGTERM, text: "SIGTERM", term: true},
		"KILL":          {spec: child("die", strconv.Itoa(int(syscall.SIGKILL))), code: -1, signal: syscall.SIGKILL, text: "SIGKILL"},
		"HUP":           {spec: child("die", strconv.Itoa(int(syscall.SIGHUP))), code: -1, signal: syscall.SIGHUP, text: "SIGHUP"},
		"closed stdout": {spec: child("closed"), code: 5, text: "code 5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := time.Now()
			p, r := run(t, c.spec)
			e := end(t, p, r)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, c.signal, e.Signal)
			require.Equal(t, c.text, e.String())
			require.Equal(t, c.term, e.Term())
			require.Zero(t, e.Leftovers)
			require.True(t, e.At.After(before))
			cause, _ := p.Intent()
			require.NoError(t, cause, "nobody asked for this end")
			_, ok := p.Signalled()
			require.False(t, ok)
		})
	}
}

func TestExitStatusLost(t *testing.T) {
	t.Parallel()
	require.Equal(t, "unknown", Exit{Code: -1}.String())
	require.False(t, Exit{Code: -1}.Term())
}
