package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sirupsen/logrus"
)

// ErrToken means that the server would listen beyond loopback without a token.
var ErrToken = errors.New("listening beyond loopback needs a token: set http.token_file")

// Options says where the server listens and what it tells.
type Options struct {
	Listen  string   // host:port; port 0 takes any free one
	Token   string   // "" on loopback only
	Hosts   []string // further host names that requests may ask for
	Ready   func() error
	Metrics prometheus.Gatherer
	Page    *Page // nil: no page at /
	Log     *logrus.Entry
}

// Server is a listening console. Close ends it.
type Server struct {
	http *http.Server
	addr net.Addr
	done chan struct{} // closed when serving has ended
}

// Start listens and serves in the background.
func Start(ctx context.Context, o Options) (*Server, error) {
	g, err := newGate(o)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP on %s (http.listen): %w", o.Listen, err)
	}
	s := &Server{
		http: &http.Server{
			Handler:           handler(o, g),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
		},
		addr: l.Addr(),
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.WithError(err).Error("HTTP has ended; the worker goes on without it")
		}
	}()
	return s, nil
}

// Addr is where it listens, with the port it got.
func (s *Server) Addr() string { return s.addr.String() }

// Close ends it; requests under way may finish within ctx.
func (s *Server) Close(ctx context.Context) {
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
	<-s.done
}

func handler(o Options, g *gate) http.Handler {
	mux := routes(o)
	asking := templates()
	form := func(w http.ResponseWriter, wrong bool) {
		pageHeader(w.Header())
		w.WriteHeader(http.StatusUnauthorized)
		if err := asking.ExecuteTemplate(w, "login", wrong); err != nil {
			o.Log.WithError(err).Debug("the form for the token was not sent")
		}
	}
	if o.Page != nil {
		p := newPages(*o.Page, o.Log)
		mux.Handle("GET /{$}", gzhttp.GzipHandler(p.serve("page")))
		mux.Handle("GET /live", gzhttp.GzipHandler(p.serve("live")))
	}
	return g.guard(mux, form)
}

func routes(o Options) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{ErrorLog: promLog{o.Log}}))
	return mux
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}

type promLog struct{ log *logrus.Entry }

func (p promLog) Println(v ...any) { p.log.Error(append([]any{"metrics: "}, v...)...) }
