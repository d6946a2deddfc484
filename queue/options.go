package queue

import (
	"time"

	"github.com/sirupsen/logrus"
)

// Declare modes: whether a worker may create what is missing.
const (
	DeclareAuto  = "auto"
	DeclareNever = "never"
)

// TLS names the files of a TLS connection; empty ones are not used.
type TLS struct {
	CA, Cert, Key string
}

// Options say where the queue is and how its streams should be. Zero values stand for the defaults named beside them.
type Options struct {
	URL         string // nats://127.0.0.1:4222; several servers separated by commas
	Name        string // connection name, "curfew"
	Creds       string // path of a credentials file
	NKey        string // path of an nkey seed file
	User        string
	Password    string
	TLS         TLS
	Domain      string // JetStream domain
	InboxPrefix string // "_INBOX"

	Namespace string        // "curfew"
	Replicas  int           // 1
	Backlog   int64         // unfinished jobs per session at most, 1000
	AckWait   time.Duration // after which an untouched hint is delivered again, 30s
	Declare   string        // DeclareAuto, or DeclareNever: compare only

	// Refused is told of each permission that this user turns out not to have. The server says so to the connection, not
	// to the request, which only goes unanswered. It must not block; nil: the log tells.
	Refused func(*PermissionError)
	// OutputLost is told of bytes that WriteOutput took and the server did not; nil: nobody. It must return at once.
	OutputLost func(bytes int)

	Log *logrus.Entry // silent when nil

	window time.Duration // duplicate window of the streams; only tests shorten it
}
