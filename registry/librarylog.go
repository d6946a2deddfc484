package registry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// libraryLog passes the Redis library's own lines on, as warnings, one in ten
// seconds: an outage makes it write dozens a second, all saying the same.
type libraryLog struct {
	log *logrus.Entry
	now func() time.Time

	mu      sync.Mutex
	next    time.Time
	skipped int
}

const libraryLogEvery = 10 * time.Second

func newLibraryLog(log *logrus.Entry, now func() time.Time) *libraryLog {
	return &libraryLog{log: log, now: now}
}

// Printf is what the library calls.
func (l *libraryLog) Printf(_ context.Context, format string, v ...any) {
	l.mu.Lock()
	now := l.now()
	if now.Before(l.next) {
		l.skipped++
		l.mu.Unlock()
		return
	}
	skipped := l.skipped
	l.skipped, l.next = 0, now.Add(libraryLogEvery)
	l.mu.Unlock()
	e := l.log
	if skipped > 0 {
		e = e.WithField("skipped", skipped)
	}
	e.Warnf("redis library: %q", fmt.Sprintf(format, v...))
}
