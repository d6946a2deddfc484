package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// gate decides which requests are answered.
type gate struct {
	loopback bool
	token    [sha256.Size]byte // compared as hashes: equal lengths, so the time tells nothing
	wanted   bool
	hosts    map[string]bool
}

func newGate(o Options) (*gate, error) {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("http.listen %q: %w", o.Listen, err)
	}
	g := &gate{loopback: loopback(host), wanted: o.Token != "", token: sha256.Sum256([]byte(o.Token)), hosts: map[string]bool{"localhost": true}}
	if !g.loopback && !g.wanted {
		return nil, ErrToken
	}
	for _, h := range append([]string{host}, o.Hosts...) {
		g.hosts[strings.ToLower(h)] = true
	}
	if name, err := os.Hostname(); err == nil && !g.loopback {
		g.hosts[strings.ToLower(name)] = true
	}
	return g, nil
}

// guard lets through what may be answered. form asks a person for the token.
func (g *gate) guard(next http.Handler, form func(w http.ResponseWriter, wrong bool)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case !g.knows(r.Host):
			say(w, http.StatusMisdirectedRequest, "this server does not answer for that host: name it in http.hosts")
		case g.wanted && isLogin(r):
			g.login(w, r, form)
		case !g.admits(r) && wantsPage(r):
			form(w, false)
		case !g.admits(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			say(w, http.StatusUnauthorized, "the token of http.token is wanted: Authorization: Bearer ...")
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			say(w, http.StatusMethodNotAllowed, "nothing can be changed here")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knows tells whether the host asked for is ours. A name that somebody else's DNS points at this machine is not, which
// keeps web pages out. An IP address cannot be pointed anywhere; on loopback it has to be a loopback address all the same.
func (g *gate) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(strings.ToLower(host), "[]")
	if g.hosts[host] {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || !g.loopback)
}

func (g *gate) admits(r *http.Request) bool {
	if !g.wanted {
		return true
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return g.isToken(given) && strings.EqualFold(scheme, "Bearer") || g.hasCookie(r, time.Now())
}

func (g *gate) isToken(given string) bool {
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// isLogin: the one request that is no GET, from the form on our own page.
func isLogin(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/login" && http.NewCrossOriginProtection().Check(r) == nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
