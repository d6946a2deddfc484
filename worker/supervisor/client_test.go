package supervisor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A worker without a supervisor is written like one that has one.
func TestNilClientDoesNothing(t *testing.T) {
	t.Parallel()
	c, err := Connect()
	require.NoError(t, err)
	require.Nil(t, c)
	require.NoError(t, c.Open("a", 1))
	require.NoError(t, c.OpenIn("a", 1, "/sys/fs/cgroup/a"))
	require.NoError(t, c.Spawned("a", 1, -1))
	require.NoError(t, c.Renew("a", 2))
	require.NoError(t, c.Close("a"))
	require.Nil(t, c.Orders())
	require.Nil(t, c.Gone())
	c.Guard(nil)
	c.Finish()
}
