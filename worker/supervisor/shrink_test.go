//go:build linux

package supervisor

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFileMappings(t *testing.T) {
	t.Parallel()
	const smaps = `00400000-01000000 r-xp 00000000 fe:00 26 /bin/curfew
Size:              12288 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
01000000-02000000 r--p 00c00000 fe:00 26 /bin/curfew
Anonymous:             0 kB
02000000-03000000 r--p 01c00000 fe:00 26 /bin/relocated, then made read-only
Anonymous:             4 kB
03000000-04000000 rw-p 02c00000 fe:00 26 /bin/curfew
Anonymous:             0 kB
04000000-05000000 r--p 00000000 00:00 0
Anonymous:             0 kB
05000000-06000000 r--s 00000000 fe:00 27 /shared
Anonymous:             0 kB
7ffd0000-7ffe0000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
`
	require.Equal(t, []mapping{{0x400000, 0x1000000}, {0x1000000, 0x2000000}},
		fileMappings(bufio.NewScanner(strings.NewReader(smaps))))
}
