package config

import (
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"curfew/registry"
)

// MaxAge bounds every max_age. Records are kept 8 days after their last change, and a session that outlived its
// record would start young again.
const MaxAge = registry.MaxSessionAge

// The shapes that names must have.
var (
	namespaceShape = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
	nameShape      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

// validate checks each value on its own and then what has to fit together.
func (l *loader) validate(c *Config) {
	l.names(c)
	l.servers(c)
	l.ranges(c)
	l.fits(c)
	for _, name := range slices.Sorted(maps.Keys(c.Agents)) {
		l.agent(name, c.Agents[name])
	}
}

func (l *loader) names(c *Config) {
	if !namespaceShape.MatchString(c.Namespace) {
		l.wrong("namespace", "is %q: must be a lower-case letter, then up to 31 of a-z, 0-9, _ and -", c.Namespace)
	}
	if c.Worker.ID != "" && !nameShape.MatchString(c.Worker.ID) {
		l.wrong("worker.id", "is %q: must be up to 64 of letters, digits, . _ and -, beginning with a letter or digit", c.Worker.ID)
	}
	l.oneOf("log.level", c.Log.Level, "error", "warn", "warning", "info", "debug", "trace")
	l.oneOf("log.format", c.Log.Format, "auto", "json", "text")
	l.oneOf("nats.declare", c.NATS.Declare, "auto", "never")
	l.oneOf("worker.on_drain", c.Worker.OnDrain, "requeue", "ack", "dead")
}

func (l *loader) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		l.wrong(key, "is %q: must be one of %s", value, strings.Join(allowed, ", "))
	}
}

func (l *loader) servers(c *Config) {
	for one := range strings.SplitSeq(c.NATS.URL, ",") {
		l.serverURL("nats.url", strings.TrimSpace(one), "nats", "tls", "ws", "wss")
	}
	l.serverURL("redis.url", c.Redis.URL, "redis", "rediss", "unix")
	if (c.NATS.TLS.Cert == "") != (c.NATS.TLS.Key == "") {
		l.wrong("nats.tls.cert", "and nats.tls.key belong together: give both or none")
	}
	if c.NATS.Password != "" && c.NATS.User == "" {
		l.wrong("nats.user", "is empty: a password needs a user")
	}
	if c.HTTP.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(c.HTTP.Listen)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		l.wrong("http.listen", "is %q: must be host:port, as 127.0.0.1:8411, or empty for off", c.HTTP.Listen)
		return
	}
	if !Loopback(host) && c.HTTP.Token == "" {
		l.wrong("http.token", "is empty: listening beyond loopback (http.listen %s) needs one; set http.token_file", c.HTTP.Listen)
	}
}

// Loopback tells whether a host reaches this machine only.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// serverURL says what is wrong with a URL without showing it: it may hold a password.
func (l *loader) serverURL(key, text string, schemes ...string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		l.wrong(key, "is empty: must be a URL, as %s://127.0.0.1", schemes[0])
	case err != nil:
		l.wrong(key, "is not a URL (percent-encode what is special in a password)")
	case !slices.Contains(schemes, u.Scheme):
		l.wrong(key, "must begin with %s://", strings.Join(schemes, ":// or "))
	case u.Scheme != "unix" && u.Host == "":
		l.wrong(key, "names no host")
	}
}

func (l *loader) ranges(c *Config) {
	for _, n := range []struct {
		key             string
		value, min, max int64
	}{
		{"nats.replicas", int64(c.NATS.Replicas), 1, 5},
		{"worker.concurrency", int64(c.Worker.Concurrency), 1, 10_000},
		{"session.backlog", c.Session.Backlog, 1, 1_000_000},
		{"retry.attempts", int64(c.Retry.Attempts), 1, 1000},
	} {
		if n.value < n.min || n.value > n.max {
			l.wrong(n.key, "is %d: must be %d to %d", n.value, n.min, n.max)
		}
	}
	for _, d := range []struct {
		key             string
		value, min, max time.Duration
	}{
		{"worker.drain_timeout", c.Worker.DrainTimeout, 0, MaxAge},
		{"session.max_age", c.Session.MaxAge, time.Millisecond, MaxAge},
		{"session.sweep_every", c.Session.SweepEvery, 10 * time.Millisecond, time.Hour},
		{"lease.ttl", c.Lease.TTL, 0, time.Hour},
		{"retry.backoff", c.Retry.Backoff, time.Millisecond, 24 * time.Hour},
		{"retry.max_backoff", c.Retry.MaxBackoff, time.Millisecond, 24 * time.Hour},
		{"queue.busy_delay", c.Queue.BusyDelay, 10 * time.Millisecond, time.Hour},
		{"queue.ack_wait", c.Queue.AckWait, time.Second, time.Hour},
		{"queue.unknown_agent_wait", c.Queue.UnknownAgentWait, time.Millisecond, MaxAge},
	} {
		l.between(d.key, d.value, d.min, d.max)
	}
}

func (l *loader) between(key string, value, low, high time.Duration) {
	if value < low || value > high {
		l.wrong(key, "is %s: must be %s to %s", Short(value), Short(low), Short(high))
	}
}

// fits checks what one value demands of another.
func (l *loader) fits(c *Config) {
	if err := c.Terms().Validate(); err != nil {
		l.wrong("lease", "%v", err)
	}
	if c.Retry.MaxBackoff < c.Retry.Backoff {
		l.wrong("retry.max_backoff", "is %s: must be at least retry.backoff (%s)", Short(c.Retry.MaxBackoff), Short(c.Retry.Backoff))
	}
}

// Short writes a duration without its empty parts: 4h and not 4h0m0s. Whole days stay in hours, as Go reads them.
func Short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
