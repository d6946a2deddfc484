package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"curfew/cmd/internal/board"
)

// Page is what the page at / shows.
type Page struct {
	Namespace, Worker, Version string
	// View waits for news until ctx ends and then answers what it has.
	View func(ctx context.Context) *board.View
}

var (
	//go:embed page.html
	pageHTML string
	//go:embed style.css
	styleCSS string
	//go:embed live.js
	liveJS string
)

// viewTime is how long a request waits for a view that is not old.
const viewTime = 2 * time.Second

// pageHeader is sent with every page. Style and script are known by their hashes: nothing else runs, whatever a name
// from outside says.
func pageHeader(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src '"+hashOf(liveJS)+"'; style-src '"+hashOf(styleCSS)+
		"'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// buildOf tells a page that is open whether its worker has become another version.
func buildOf(version string) string {
	sum := sha256.Sum256([]byte(version + "\n" + pageHTML + styleCSS + liveJS))
	return hex.EncodeToString(sum[:6])
}

func templates() *template.Template {
	return template.Must(template.New("").Funcs(funcs()).Funcs(template.FuncMap{
		"css": func() template.CSS { return template.CSS(styleCSS) }, //nolint:gosec // our own file
		"js":  func() template.JS { return template.JS(liveJS) },     //nolint:gosec // our own file
	}).Parse(pageHTML))
}

// pages renders. However many look, each view is rendered once.
type pages struct {
	page      Page
	templates *template.Template
	build     string
	log       *logrus.Entry

	mu       sync.Mutex
	view     *board.View // of which rendered are the pages
	rendered map[string][]byte
}

func newPages(p Page, log *logrus.Entry) *pages {
	return &pages{page: p, templates: templates(), build: buildOf(p.Version), log: log}
}

// serve answers with one of the templates.
func (p *pages) serve(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), viewTime)
		defer cancel()
		body, err := p.render(name, p.page.View(ctx))
		if err != nil {
			p.log.WithError(err).Error("the page could not be rendered")
			say(w, http.StatusInternalServerError, "the page could not be rendered: the worker's log says why")
			return
		}
		pageHeader(w.Header())
		_, _ = w.Write(body) // who has gone away needs no page
	})
}

func (p *pages) render(name string, v *board.View) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.view != v {
		p.view, p.rendered = v, map[string][]byte{}
	}
	if body, ok := p.rendered[name]; ok {
		return body, nil
	}
	var b bytes.Buffer
	err := p.templates.ExecuteTemplate(&b, name, struct {
		Namespace, Worker, Version, Build string
		View                              *board.View
	}{p.page.Namespace, p.page.Worker, p.page.Version, p.build, v})
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	p.rendered[name] = b.Bytes()
	return b.Bytes(), nil
}
