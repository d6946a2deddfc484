package console_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"curfew/cmd/internal/board"
	"curfew/cmd/internal/console"
	"curfew/registry"
	"curfew/worker"
)

func pageOf(v *board.View) *console.Page {
	return &console.Page{Namespace: "curfew", Worker: "w1", Version: "v0", View: func(context.Context) *board.View { return v }}
}

func rows(n int) []board.Row {
	out := make([]board.Row, n)
	for i := range out {
		out[i] = board.Row{
			Session: uuid.NewString(), State: registry.StateRunning, Agent: "default", Worker: "w1", Attempts: 1,
			Created: time.Now().Add(-time.Hour), MaxAge: 4 * time.Hour, Age: time.Hour, Waiting: 2,
		}
	}
	return out
}

func TestPageShowsTheFleet(t *testing.T) {
	t.Parallel()
	now := time.Now()
	code := 3
	v := &board.View{
		At: now, AsOf: now, Rows: rows(2), More: 7, Letters: 5,
		Totals:  board.Totals{Running: 2, Queued: 1, Jobs: 4, Workers: 1, Live: 2, Slots: 3},
		Ends:    []board.End{{Session: uuid.NewString(), Job: "j1", Agent: "default", Worker: "w1", Outcome: "crashed", Buried: true, At: now, Exit: registry.Exit{Code: &code}}},
		Workers: []board.Worker{{ID: "w1", Host: "h", State: worker.StatePulling, Live: 2, Slots: 3, Started: now}},
		Depth:   []board.Point{{At: now.Add(-time.Minute), Jobs: 3}, {At: now.Add(-50 * time.Second), Jobs: 9}, {At: now, Jobs: 1}},
		Halt:    registry.Halt{On: true, Reason: "runaway spend", By: "me@here", At: now},
	}
	v.Rows[1].Created = time.Time{}
	s := serve(t, console.Options{Listen: "127.0.0.1:0", Page: pageOf(v)})
	status, body := get(t, s, "/")
	require.Equal(t, 200, status)
	for _, text := range []string{
		v.Rows[0].Session, "1 h 00 min of 4 h 00 min", `max="14400"`, `value="3600"`, "not taken up yet", "7 more are not shown",
		"crashed", "exit 3", "dead letter", "The fleet is halted", "runaway spend", "1 now, 9 at most", "2 of 3",
		`<noscript><meta http-equiv="refresh"`, `<caption>`, `scope="col"`, `scope="row"`, `class="skip"`, `aria-live="polite"`,
	} {
		require.Contains(t, body, text)
	}
	require.Equal(t, 2, strings.Count(body, `class="line"`), "the line is broken where nobody answered")
	status, body = get(t, s, "/live")
	require.Equal(t, 200, status)
	require.NotContains(t, body, "<html")
	require.Contains(t, body, v.Rows[0].Session)
}

// Everything that comes from outside is text, and text that can be read.
func TestPageQuotesWhatComesFromOutside(t *testing.T) {
	t.Parallel()
	const evil = "<script>alert(1)</script>\"'\x00\x1b[2J\u202etxt.exe\n" + `<img src=x onerror=alert(1)>`
	v := &board.View{
		At: time.Now(), Rows: rows(1), Halt: registry.Halt{On: true, Reason: evil, By: evil},
		Ends:    []board.End{{Session: evil, Job: evil, Agent: evil, Worker: evil, Outcome: evil, Exit: registry.Exit{Signal: evil}}},
		Workers: []board.Worker{{ID: evil, Host: evil, State: worker.State(evil)}},
	}
	v.Rows[0].Agent, v.Rows[0].Worker, v.Rows[0].State = evil, evil, registry.State(evil)
	p := pageOf(v)
	p.Worker, p.Namespace = evil, evil
	_, body := get(t, serve(t, console.Options{Listen: "127.0.0.1:0", Page: p}), "/")
	require.Equal(t, 1, strings.Count(body, "<script>"), "ours")
	require.NotContains(t, body, "<img")
	unquoted := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(body[strings.Index(body, "<body>"):strings.Index(body, "<script>")], `""`)
	require.NotRegexp(t, `<[^>]*\son\w+=`, unquoted, "no handler as an attribute")
	shown := regexp.MustCompile(`data-key="[^"]*"`).ReplaceAllString(body, "") // keys are not read
	for _, hidden := range []string{"\u202e", "\x1b", "\x00"} {
		require.False(t, strings.Contains(shown, hidden), "%q", hidden)
	}
}

// The policy lets run what the page brings, and nothing else.
func TestPagePolicy(t *testing.T) {
	t.Parallel()
	s := serve(t, console.Options{Listen: "127.0.0.1:0", Page: pageOf(&board.View{At: time.Now()})})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	policy := resp.Header.Get("Content-Security-Policy")
	require.True(t, strings.HasPrefix(policy, "default-src 'none';"))
	require.NotContains(t, policy, "unsafe")
	require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	_, body := get(t, s, "/")
	for _, tag := range []string{"script", "style"} {
		part := regexp.MustCompile(`(?s)<` + tag + `>(.*)</` + tag + `>`).FindStringSubmatch(body)
		require.Len(t, part, 2)
		sum := sha256.Sum256([]byte(part[1]))
		require.Contains(t, policy, fmt.Sprintf("%s-src 'sha256-%s'", tag, base64.StdEncoding.EncodeToString(sum[:])))
	}
	require.NotRegexp(t, `(src|href)="?https?:`, body, "nothing from elsewhere")
	require.NotContains(t, body, "style=")
}

func TestPageOnlyReads(t *testing.T) {
	t.Parallel()
	for _, s := range []*console.Server{
		serve(t, console.Options{Listen: "127.0.0.1:0", Page: pageOf(&board.View{})}),
		serve(t, console.Options{Listen: "0.0.0.0:0", Token: "s3cret", Page: pageOf(&board.View{})}),
	} {
		for _, path := range []string{"/", "/live", "/metrics", "/healthz", "/nothing"} {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
				code, _ := get(t, s, path, func(r *http.Request) {
					r.Method = method
					r.Host = "127.0.0.1"
					r.Header.Set("Authorization", "Bearer s3cret")
				})
				require.Equal(t, http.StatusMethodNotAllowed, code, "%s %s", method, path)
			}
		}
		code, _ := get(t, s, "/", func(r *http.Request) {
			r.Method, r.Host = "HEAD", "127.0.0.1"
			r.Header.Set("Authorization", "Bearer s3cret")
		})
		require.Equal(t, 200, code)
	}
}

// However large the fleet, the page is not.
func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	v := &board.View{At: time.Now(), Rows: rows(board.MaxRows), More: 9500}
	for i := range v.Rows {
		v.Rows[i].Worker, v.Rows[i].Agent = strings.Repeat("w", 5000), strings.Repeat("ä", 5000)
	}
	_, body := get(t, serve(t, console.Options{Listen: "127.0.0.1:0", Page: pageOf(v)}), "/")
	require.Less(t, len(body), 1<<20)
}

type answer struct {
	code    int
	header  http.Header
	cookies []*http.Cookie
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s := serve(t, console.Options{Listen: "0.0.0.0:0", Token: "s3cret", Page: pageOf(&board.View{At: time.Now()})})
	base := "http://127.0.0.1:" + s.Addr()[strings.LastIndex(s.Addr(), ":")+1:]
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path, body string, change ...func(*http.Request)) answer {
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Accept", "text/html")
		if body != "" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for _, c := range change {
			c(req)
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return answer{resp.StatusCode, resp.Header, resp.Cookies()}
	}
	form := func(token string) string { return url.Values{"token": {token}}.Encode() }

	asked := ask("GET", "/", "")
	require.Equal(t, 401, asked.code)
	require.Contains(t, asked.header.Get("Content-Type"), "text/html", "a person gets a form")
	require.Contains(t, asked.header.Get("Content-Security-Policy"), "form-action 'self'")
	require.Equal(t, 401, ask("GET", "/live", "").code)
	require.Equal(t, 401, ask("GET", "/?token=s3cret", "").code, "a token does not belong into an address")

	wrong := ask("POST", "/login", form("s3creT"))
	require.Equal(t, 401, wrong.code)
	require.Empty(t, wrong.cookies)
	elsewhere := ask("POST", "/login", form("s3cret"), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	require.Equal(t, 401, elsewhere.code)
	require.Empty(t, elsewhere.cookies)
	require.Equal(t, 400, ask("POST", "/login", form(strings.Repeat("x", 10<<10))).code)
	rebound := ask("POST", "/login", form("s3cret"), func(r *http.Request) { r.Host = "evil.example" })
	require.Equal(t, 421, rebound.code)

	right := ask("POST", "/login", form("s3cret"))
	require.Equal(t, 303, right.code)
	require.Len(t, right.cookies, 1)
	c := right.cookies[0]
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	require.NotContains(t, c.String(), "s3cret")
	require.Equal(t, 200, ask("GET", "/", "").code)
	require.Equal(t, 200, ask("GET", "/live", "").code)
	require.True(t, ask("POST", "/login", form("s3cret"), func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }).cookies[0].Secure)

	// A cookie that was made up, or lengthened, is none; neither is one of another token.
	jar2, err := cookiejar.New(nil)
	require.NoError(t, err)
	client.Jar = jar2
	until, mac, ok := strings.Cut(c.Value, ".")
	require.True(t, ok)
	for _, value := range []string{"", ".", until, until + ".", until + "0." + mac, "9" + until + "." + mac, until + "." + strings.Repeat("0", len(mac)), "1." + mac} {
		got := ask("GET", "/live", "", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: c.Name, Value: value}) })
		require.Equal(t, 401, got.code, "%q", value)
	}
	other := serve(t, console.Options{Listen: "0.0.0.0:0", Token: "another", Page: pageOf(&board.View{At: time.Now()})})
	code, _ := get(t, other, "/live", func(r *http.Request) { r.Host = "127.0.0.1"; r.AddCookie(c) })
	require.Equal(t, 401, code)
}
