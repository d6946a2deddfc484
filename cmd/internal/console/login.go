package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A browser cannot send the token with each request by itself, so it is asked for once and then has a cookie that only the
// token can have made: the time at which it ends, and a MAC of that time under the token. The worker keeps nothing, and
// another token makes every cookie worthless.

const (
	cookieFor   = 12 * time.Hour
	maxFormBody = 4 << 10
)

// sign is a MAC under the token.
func (g *gate) sign(what string) string {
	m := hmac.New(sha256.New, g.token[:])
	m.Write([]byte("curfew console " + what))
	return hex.EncodeToString(m.Sum(nil))
}

// cookieName differs from token to token: cookies know no ports, and several workers may live on one host.
func (g *gate) cookieName() string { return "curfew_" + g.sign("name")[:12] }

func (g *gate) cookie(now time.Time, secure bool) *http.Cookie {
	until := strconv.FormatInt(now.Add(cookieFor).Unix(), 10)
	return &http.Cookie{ //nolint:gosec // without TLS here, the browser would not keep a Secure one; behind a proxy with TLS it is
		Name: g.cookieName(), Value: until + "." + g.sign("until "+until), Path: "/",
		MaxAge: int(cookieFor / time.Second), HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure,
	}
}

// hasCookie tells whether the request has a cookie that this token made and that has not ended.
func (g *gate) hasCookie(r *http.Request, now time.Time) bool {
	for _, c := range r.CookiesNamed(g.cookieName()) {
		until, mac, _ := strings.Cut(c.Value, ".")
		good := subtle.ConstantTimeCompare([]byte(mac), []byte(g.sign("until "+until))) == 1
		end, err := strconv.ParseInt(until, 10, 64)
		if good && err == nil && now.Unix() < end {
			return true
		}
	}
	return false
}

// wantsPage tells a person's browser from a program.
func wantsPage(r *http.Request) bool {
	return r.URL.Path == "/" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// login takes the token from the form and gives the cookie for it. It changes nothing in the fleet.
func (g *gate) login(w http.ResponseWriter, r *http.Request, form func(w http.ResponseWriter, wrong bool)) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBody)
	if err := r.ParseForm(); err != nil {
		say(w, http.StatusBadRequest, "the form could not be read")
		return
	}
	if !g.isToken(strings.TrimSpace(r.PostForm.Get("token"))) {
		form(w, true)
		return
	}
	http.SetCookie(w, g.cookie(time.Now(), r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, "./", http.StatusSeeOther)
}
