package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDues(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	d := newDues()
	require.Empty(t, d.take(now))
	d.set("b", at(-1))
	d.set("a", at(-2))
	d.set("later", at(5))
	d.set("exactly", now)
	d.set("extended", at(-3))
	d.set("extended", at(3))
	d.set("shortened", at(3))
	d.set("shortened", at(-4))
	d.set("dropped", at(-5))
	d.drop("dropped")
	require.True(t, d.has("extended"))
	require.False(t, d.has("dropped"))
	var got []string
	for s := d.take(now); s != ""; s = d.take(now) {
		got = append(got, s)
	}
	require.Equal(t, []string{"shortened", "a", "b"}, got, "strictly past its time, the longest first")
	require.False(t, d.has("a"), "taken is forgotten")
	got = nil
	for s := d.take(at(6)); s != ""; s = d.take(at(6)) {
		got = append(got, s)
	}
	require.Equal(t, []string{"exactly", "extended", "later"}, got)
	require.Empty(t, d.next, "what is out of date is thrown away on the way")
	for range 1000 {
		d.set("often written", now)
	}
	require.Len(t, d.next, 1, "a record that changes without a new curfew costs nothing")
}
