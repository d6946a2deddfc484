package console

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCookieEnds(t *testing.T) {
	t.Parallel()
	g, err := newGate(Options{Listen: "0.0.0.0:1", Token: "s3cret"})
	require.NoError(t, err)
	now := time.Now()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.AddCookie(g.cookie(now, false))
	require.True(t, g.hasCookie(r, now))
	require.True(t, g.hasCookie(r, now.Add(cookieFor-2*time.Second)))
	require.False(t, g.hasCookie(r, now.Add(cookieFor)))
}
