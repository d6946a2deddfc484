package registry

import (
	"os/exec"
	"testing"
)

func BenchmarkAcquireRelease(b *testing.B) {
	l := benchLeases(b)
	b.ReportAllocs()
	for b.Loop() {
		x, err := l.Acquire(b.Context(), Ask{Session: "a", Token: NewToken(), Seq: 1})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x.Release(b.Context(), false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRenew2000(b *testing.B) {
	l := benchLeases(b)
	for range 2000 {
		if _, err := l.Acquire(b.Context(), ask(newSession())); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if l.renew(b.Context(), l.all()) != 0 {
			b.Fatal("not renewed")
		}
	}
}

func benchLeases(b *testing.B) *Leases {
	b.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		b.Skip("needs redis-server")
	}
	return startRedis(b).leases(b, steady)
}
