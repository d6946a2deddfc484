//go:build !linux

package supervisor

// Client is the worker's end of its supervisor, of which there is none on this
// system: Connect answers nil, and a nil Client does nothing.
type Client struct{}

// Connect answers nil: no supervisor.
func Connect() (*Client, error) { return nil, nil } //nolint:nilnil // nil is the client that does nothing

// Orders never brings any.
func (c *Client) Orders() <-chan Order { return nil }

// Gone never comes.
func (c *Client) Gone() <-chan struct{} { return nil }

// Open does nothing.
func (c *Client) Open(id string, deadline int64) error { return nil }

// OpenIn does nothing.
func (c *Client) OpenIn(id string, deadline int64, cgroup string) error { return nil }

// Spawned does nothing.
func (c *Client) Spawned(id string, pid, pidfd int) error { return nil }

// Renew does nothing.
func (c *Client) Renew(id string, deadline int64) error { return nil }

// Close does nothing.
func (c *Client) Close(id string) error { return nil }

// Guard returns at once.
func (c *Client) Guard(before func()) {}

// Finish returns at once.
func (c *Client) Finish() {}

// Private does nothing on this system.
func Private() error { return nil }
