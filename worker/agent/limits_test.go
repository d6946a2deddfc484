package agent

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"curfew/worker/process"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"": 0, "0": 0, "4096": 4096, "1k": 1 << 10, "512MiB": 512 << 20, "4GiB": 4 << 30, "4G": 4 << 30, "1.5 GiB": 3 << 29,
	} {
		n, err := ParseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, n, text)
	}
	for _, text := range []string{"lots", "-1", "4X", "4GiB of it"} {
		_, err := ParseSize(text)
		require.ErrorContains(t, err, "4GiB", text)
	}
	for n, want := range map[int64]string{0: "0B", 4096: "4KiB", 512 << 20: "512MiB", 3 << 29: "1.5GiB"} {
		require.Equal(t, want, FormatSize(n))
		back, err := ParseSize(FormatSize(n))
		require.NoError(t, err)
		require.Equal(t, n, back)
	}
}

func TestResolveUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		a := Agent{Name: "x", Command: []string{"sh"}, User: "root"}
		var bad *UserError
		require.ErrorAs(t, a.Resolve(), &bad)
		require.ErrorContains(t, bad, "root")
		t.Skip("the rest needs root")
	}
	for name, c := range map[string]struct {
		user, group string
		want        *process.Credential // without its further groups
		key         string              // of the error
	}{
		"nobody set":         {"", "", nil, ""},
		"a name":             {"root", "", &process.Credential{}, ""},
		"a known number":     {"0", "", &process.Credential{}, ""},
		"an unknown number":  {"54321", "54322", &process.Credential{UID: 54321, GID: 54322}, ""},
		"another group":      {"root", "54322", &process.Credential{GID: 54322}, ""},
		"a group by name":    {"54321", "root", &process.Credential{UID: 54321}, ""},
		"number, no group":   {"54321", "", nil, "user"},
		"no such user":       {"no-such-user", "", nil, "user"},
		"no such group":      {"root", "no-such-group", nil, "group"},
		"everybody's number": {"4294967295", "0", nil, "user"},
		"beyond all numbers": {"0", "4294967296", nil, "group"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := Agent{Name: "x", Command: []string{"sh"}, User: c.user, Group: c.group}
			err := a.Resolve()
			if c.key != "" {
				bad, ok := errors.AsType[*UserError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, c.key, bad.Key)
				return
			}
			require.NoError(t, err)
			if got := a.Limits.Credential; got != nil {
				got.Groups = nil
			}
			require.Equal(t, c.want, a.Limits.Credential)
		})
	}
}
