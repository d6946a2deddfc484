package queue

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"
)

// roundTrip shows that declaring, publishing, pulling and reading work over a connection.
func roundTrip(t *testing.T, q *Queue) {
	t.Helper()
	s := newSession()
	p := publish(t, q, NewJob{Session: s})
	x := next(t, hints(t, q), 5*time.Second)
	require.Equal(t, p.Seq, x.Seq)
	require.Equal(t, s, x.Session)
	m := head(t, q, s)
	ctx := within(t, 60*time.Second)
	require.NoError(t, q.Bury(ctx, m, Letter{Job: "1"}, false))
	require.NoError(t, q.Remove(ctx, m))
	require.Len(t, letters(t, q, DeadFilter{}), 1)
	q.Emit(Event{Type: "started", Session: s})
	require.NoError(t, q.events.settled(ctx))
	got := make(chan Event, 1)
	require.NoError(t, q.Events(ctx, s, time.Time{}, true, func(e Event) error { got <- e; return ErrStop }))
	require.Equal(t, "started", (<-got).Type)
}

func TestDomain(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(o *server.Options) { o.JetStreamDomain = "hub" })
	roundTrip(t, declared(t, n, func(o *Options) { o.Domain = "hub"; o.InboxPrefix = "_INBOX_curfew" }))
	lost := connect(t, n, func(o *Options) { o.Domain = "nowhere" })
	require.Error(t, lost.Declare(within(t, time.Second), terms()))
}

func TestUserAndPassword(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(o *server.Options) { o.Username, o.Password = "joe", "s3cret" })
	roundTrip(t, declared(t, n, func(o *Options) { o.User, o.Password = "joe", "s3cret" }))
	_, err := Connect(within(t, 60*time.Second), Options{URL: n.url(), User: "joe", Password: "wr0ng"})
	un := (*UnreachableError)(nil)
	require.ErrorAs(t, err, &un)
	require.NotContains(t, err.Error(), "wr0ng")
	require.Contains(t, strings.ToLower(err.Error()), "authorization")
}

func TestNKey(t *testing.T) {
	t.Parallel()
	key, err := nkeys.CreateUser()
	require.NoError(t, err)
	pub, err := key.PublicKey()
	require.NoError(t, err)
	seed, err := key.Seed()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "user.nk")
	require.NoError(t, os.WriteFile(file, seed, 0o600))
	n := startNode(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: pub}} })
	roundTrip(t, declared(t, n, func(o *Options) { o.NKey = file }))
	_, err = Connect(within(t, 60*time.Second), Options{URL: n.url(), NKey: file + ".missing"})
	require.ErrorContains(t, err, "nkey file")
	_, err = Connect(within(t, 60*time.Second), Options{URL: n.url(), Creds: file + ".missing"})
	require.Error(t, err)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	selfSigned(t, cert, key)
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(cert)
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(ca))
	n := startNode(t, func(o *server.Options) {
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 5
		o.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		}
	})
	roundTrip(t, declared(t, n, func(o *Options) { o.TLS = TLS{CA: cert, Cert: cert, Key: key} }))
	_, err = Connect(within(t, 60*time.Second), Options{URL: n.url()})
	require.Error(t, err, "the authority is not known")
}

func selfSigned(t *testing.T, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "curfew test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	pkcs, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs}), 0o600))
}

func TestASmallServerIsRefused(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(o *server.Options) { o.MaxPayload = 8 << 10 })
	_, err := Connect(within(t, 60*time.Second), Options{URL: n.url()})
	require.ErrorContains(t, err, "max_payload")
}

// TestAnAuthErrorDoesNotEndTheConnection: the server comes back with other credentials for a while.
func TestAnAuthErrorDoesNotEndTheConnection(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(o *server.Options) { o.Username, o.Password = "joe", "old" })
	q := declared(t, n, func(o *Options) { o.User, o.Password = "joe", "old" })
	n.stop()
	n.opts.Password = "new"
	n.start(t)
	require.Eventually(t, func() bool { return n.s.NumClients() == 0 && q.nc.LastError() != nil }, 60*time.Second, time.Millisecond)
	require.Never(t, func() bool { return q.Up() || q.nc.IsClosed() }, 700*time.Millisecond, 10*time.Millisecond)
	n.stop()
	n.opts.Password = "old"
	n.start(t)
	require.Eventually(t, q.Up, 60*time.Second, 10*time.Millisecond)
	roundTrip(t, q)
}
