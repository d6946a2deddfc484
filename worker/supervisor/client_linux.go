package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Client is the worker's end. Its methods may be called from any goroutine. A
// nil Client is that of a worker without a supervisor: it does nothing, and its
// channels never bring anything.
type Client struct {
	file *os.File        // the socket, in the runtime's poller
	conn syscall.RawConn // the same

	orders  chan Order    // sent by hear, which closes it
	gone    chan struct{} // closed by hear
	cleared chan struct{} // closed by Guard: no descendant is left after gone
	reaped  chan struct{} // buffered 1: Close asks the reaper for a look

	sending sync.Mutex // one sender, so that the write deadline is its own

	mu sync.Mutex
	// runs are the open ones with their main process, 0 before it is known.
	// While one is 0 a fork may be under way.
	runs map[string]int
}

// sendTime is how long a supervisor that does not read (it is stopped, or the
// machine is) may hold up a call.
const sendTime = time.Second

// Connect takes over what the supervisor left to this process; nil without an
// error when there is no supervisor. It takes the socket out of the environment
// and keeps it from subprocesses, makes this process private (see Private) and
// the one that adopts its orphans, reaps these, and makes it deaf to the
// signals that are the supervisor's business: they are caught and dropped, not
// ignored, because subprocesses would inherit that.
//
// It is to be called once, after Main and before anything is started.
func Connect() (*Client, error) {
	fd, err := inherited()
	if errors.Is(err, errUnsupervised) {
		return nil, nil //nolint:nilnil // nil is the client that does nothing
	}
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	if err := os.Unsetenv(fdVar); err != nil {
		return nil, fmt.Errorf("take %s out of the environment: %w", fdVar, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("take over the supervisor's socket: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("adopt orphans (PR_SET_CHILD_SUBREAPER): %w", err)
	}
	if err := Private(); err != nil {
		return nil, err
	}
	c := &Client{
		file:    os.NewFile(uintptr(fd), "supervisor"),
		orders:  make(chan Order, 4),
		gone:    make(chan struct{}),
		cleared: make(chan struct{}),
		reaped:  make(chan struct{}, 1),
		runs:    map[string]int{},
	}
	if c.conn, err = c.file.SyscallConn(); err != nil {
		return nil, fmt.Errorf("take over the supervisor's socket: %w", err)
	}
	signal.Notify(make(chan os.Signal, 1), deafTo()...)
	go c.hear()
	go c.reap()
	return c, nil
}

// deafTo lists what is the supervisor's business: what asks for an end, and
// Ctrl-Z, which must not freeze a worker whose subprocesses, in groups of their
// own, go on.
func deafTo() []os.Signal {
	list := []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGTSTP}
	if !signal.Ignored(unix.SIGHUP) { // as under nohup: catching it would undo that
		list = append(list, unix.SIGHUP)
	}
	return list
}

// Orders brings what the supervisor was told by signals: OrderDrain once, then
// OrderHandBack once. It is closed when the supervisor has gone.
func (c *Client) Orders() <-chan Order {
	if c == nil {
		return nil
	}
	return c.orders
}

// Gone is closed when the supervisor has gone: nothing would end this worker's
// subprocesses any more if it died now, so it has to end itself (see Guard).
func (c *Client) Gone() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.gone
}

// Open announces a run, BEFORE its fork: whatever happens to this worker then,
// the run is dead shortly after the deadline, in ns of CLOCK_BOOTTIME, unless it
// is renewed. The id is the caller's, 1 to 255 bytes, unique among the open
// runs. After an error nothing may be started. Whatever comes of it, Close ends
// it, also when the fork failed.
func (c *Client) Open(id string, deadline int64) error { return c.OpenIn(id, deadline, "") }

// OpenIn is Open for a run in a cgroup (v2) of its own, given as the absolute
// path of its folder: that is how it is killed then, before anything else.
func (c *Client) OpenIn(id string, deadline int64, cgroup string) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	c.runs[id] = 0
	c.mu.Unlock()
	err := c.send(message{kind: kindOpen, id: id, deadline: deadline, cgroup: cgroup}, -1)
	if err != nil {
		c.forget(id)
		return fmt.Errorf("announce a run to the supervisor: %w", err)
	}
	return nil
}

// Spawned hands over the run's main process, right after the fork. The pidfd
// stays the caller's; where there is none (-1) the supervisor makes its own.
// After an error the run has to be killed: nothing else would end it.
func (c *Client) Spawned(id string, pid, pidfd int) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	if _, open := c.runs[id]; open {
		c.runs[id] = pid
	}
	c.mu.Unlock()
	if err := c.send(message{kind: kindSpawned, id: id, pid: pid}, pidfd); err != nil {
		return fmt.Errorf("hand a run to the supervisor: %w", err)
	}
	return nil
}

// Renew moves the deadline of an open run. One whose deadline has passed is
// dead: no renewal brings it back. An error means that the old one holds.
func (c *Client) Renew(id string, deadline int64) error {
	if c == nil {
		return nil
	}
	if err := c.send(message{kind: kindRenew, id: id, deadline: deadline}, -1); err != nil {
		return fmt.Errorf("renew a run at the supervisor: %w", err)
	}
	return nil
}

// Close says that the run has ended, is reaped and collected, or was never
// started: its process id means nothing from here on.
func (c *Client) Close(id string) error {
	if c == nil {
		return nil
	}
	c.forget(id)
	if err := c.send(message{kind: kindClose, id: id}, -1); err != nil {
		return fmt.Errorf("close a run at the supervisor: %w", err)
	}
	return nil
}

func (c *Client) forget(id string) {
	c.mu.Lock()
	delete(c.runs, id)
	c.mu.Unlock()
	select {
	case c.reaped <- struct{}{}:
	default:
	}
}

// send writes one message, with a descriptor beside it when fd is not -1.
func (c *Client) send(m message, fd int) error {
	b, err := m.encode()
	if err != nil {
		return err
	}
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.file.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	failed := c.conn.Write(func(sock uintptr) bool {
		for {
			_, err = unix.SendmsgN(int(sock), b, rights, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	switch {
	case failed != nil:
		return fmt.Errorf("the supervisor does not read: %w", failed)
	case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.ENOTCONN):
		return ErrGone
	}
	return err
}

// hear reads orders until the supervisor has gone.
func (c *Client) hear() {
	defer close(c.gone)
	defer close(c.orders)
	b := make([]byte, maxMessage)
	for {
		n, err := c.receive(b)
		if err != nil || n <= 0 {
			return
		}
		m, err := decode(b[:n])
		if err != nil {
			continue
		}
		order := OrderDrain
		if m.kind == kindHandBack {
			order = OrderHandBack
		}
		select {
		case c.orders <- order:
		default: // there are only two
		}
	}
}

func (c *Client) receive(b []byte) (n int, err error) {
	failed := c.conn.Read(func(sock uintptr) bool {
		for {
			n, err = unix.Read(int(sock), b)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	return n, errors.Join(failed, err)
}
