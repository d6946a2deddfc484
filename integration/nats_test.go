package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const maxPayload = 8 << 20

// natsServer is a real nats-server with JetStream, which can be killed and started again on its port and store.
type natsServer struct {
	lab  *laboratory
	dir  string
	port int
	proc *proc

	userinfo string // "user:password@", where it asks for one
}

func (l *laboratory) newNATS(dir string) (*natsServer, error) {
	s := &natsServer{lab: l, dir: dir}
	var err error
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("listen: 127.0.0.1:%d\nmax_payload: %d\njetstream {store_dir: %q}\n", s.port, maxPayload, filepath.Join(dir, "jetstream"))
	if err := os.WriteFile(s.config(), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *natsServer) config() string { return filepath.Join(s.dir, "nats.conf") }
func (s *natsServer) url() string    { return fmt.Sprintf("nats://%s127.0.0.1:%d", s.userinfo, s.port) }

func (s *natsServer) start() error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.await()
}

// launch starts the process and waits for nothing.
func (s *natsServer) launch() error {
	bin, err := s.lab.natsServer()
	if err != nil {
		return err
	}
	s.proc, err = s.lab.start(command{name: "nats-server", path: bin, args: []string{"-c", s.config()}, dir: s.dir})
	return err
}

// await waits until JetStream answers.
func (s *natsServer) await() error {
	return s.proc.awaitService(func(ctx context.Context) error {
		nc, err := nats.Connect(s.url(), nats.Timeout(time.Second))
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a cluster without a leader answers nothing at all
		defer cancel()
		_, err = js.AccountInfo(ctx)
		return err
	})
}

func (s *natsServer) kill() {
	s.proc.signal(killSignal)
	s.proc.wait(60 * time.Second)
}

// awaitService tries until the service answers or its process is gone.
func (p *proc) awaitService(try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s ended at its start:\n%s", p.name, p.output())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", p.name, err, p.output())
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("not a TCP address: %v", l.Addr())
	}
	return addr.Port, nil
}

func streamConfig(name, subject string) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: name, Subjects: []string{subject}, Storage: jetstream.FileStorage}
}
