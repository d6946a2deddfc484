package stack

import (
	"fmt"
	"net"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/sirupsen/logrus"
)

const (
	maxPayload = 8 << 20
	// maxStore bounds what all streams together may reserve, not what the disk has: each stream has its own bound, and
	// the server's default, a share of the free disk, would refuse them on a small machine.
	maxStore = 1 << 40
)

type natsServer struct{ server *server.Server }

func startNATS(dir string, port int, log *logrus.Entry) (*natsServer, error) {
	s, err := server.NewServer(&server.Options{
		ServerName:        "curfew-embedded",
		Host:              "127.0.0.1",
		Port:              freePort(port),
		JetStream:         true,
		StoreDir:          dir,
		JetStreamMaxStore: maxStore,
		MaxPayload:        maxPayload,
		MaxPending:        8 * maxPayload,
		NoSigs:            true, // signals belong to the command
	})
	if err != nil {
		return nil, fmt.Errorf("%w: nats-server: %w", errStart, err)
	}
	s.SetLoggerV2(natsLog{log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("%w: nats-server was not ready in %s (data in %s)", errStart, startTimeout, dir)
	}
	return &natsServer{s}, nil
}

func (n *natsServer) url() string { return n.server.ClientURL() }

func (n *natsServer) close() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}

// freePort answers the wanted port when nothing listens there, else -1: nats-server then takes any free one.
func freePort(port int) int {
	if port <= 0 || taken(port) {
		return server.RANDOM_PORT
	}
	return port
}

func taken(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // answers at once
	if err != nil {
		return true
	}
	l.Close()
	return false
}

// natsLog hands on what an operator would want to know; the chatter of a start goes to debug.
type natsLog struct{ log *logrus.Entry }

func (l natsLog) Noticef(format string, v ...any) { l.log.Debugf("nats-server: "+format, v...) }
func (l natsLog) Warnf(format string, v ...any)   { l.log.Debugf("nats-server: "+format, v...) }
func (l natsLog) Fatalf(format string, v ...any)  { l.log.Errorf("nats-server: "+format, v...) }
func (l natsLog) Errorf(format string, v ...any)  { l.log.Errorf("nats-server: "+format, v...) }
func (l natsLog) Debugf(format string, v ...any)  { l.log.Tracef("nats-server: "+format, v...) }
func (l natsLog) Tracef(format string, v ...any)  { l.log.Tracef("nats-server: "+format, v...) }
