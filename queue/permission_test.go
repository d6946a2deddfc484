package queue

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// TestPermission: what the server says of a refusal, as nats.go hands it on, is understood.
func TestPermission(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]PermissionError{
		`Permissions Violation for Publish to "$JS.API.STREAM.INFO.X"`:                 {"publish on", "$JS.API.STREAM.INFO.X"},
		`permissions violation for publish to "$js.api.info"`:                          {"publish on", "$js.api.info"},
		`Permissions Violation for Publish with Reply of "$JS.ACK.X"`:                  {"publish on", "$JS.ACK.X"},
		`Permissions Violation for Subscription to "_INBOX.a.*"`:                       {"subscribe to", "_INBOX.a.*"},
		`Permissions Violation for Subscription to "a.>" using queue "q" (sid "1")`:    {"subscribe to", "a.>"},
		`Permissions Violation in words that no version of the server has used so far`: {"do this:", ""},
	} {
		got := permission(fmt.Errorf("%w: %s", nats.ErrPermissionViolation, text))
		require.NotNil(t, got, text)
		require.Equal(t, want.Action, got.Action, text)
		if want.Subject != "" {
			require.Equal(t, want.Subject, got.Subject, text)
		}
	}
	require.Nil(t, permission(errors.New("another error")))
	inbox := &PermissionError{Action: subscribing, Subject: "_INBOX.a.*"}
	require.Contains(t, inbox.Error(), "nats.inbox_prefix")
}

// TestDeniedBesideOthers: what other checks are refused on the examination's connection hides nothing.
func TestDeniedBesideOthers(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "worker", Password: "secret", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Deny: []string{"other", "curfew.events.*"}},
			Subscribe: &server.SubjectPermission{Deny: []string{"curfew.control.*"}},
		}}}
	})
	x, err := Examine(within(t, 60*time.Second), Options{URL: n.url(), User: "worker", Password: "secret"})
	require.NoError(t, err)
	t.Cleanup(x.Close)
	done := make(chan struct{})
	var others sync.WaitGroup
	defer others.Wait()
	defer close(done)
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = x.Conn().Publish("other", nil)
				_ = x.Conn().Flush()
			}
		}
	})
	for range 20 {
		denied, err := x.Denied(within(t, 60*time.Second))
		require.NoError(t, err)
		require.Len(t, denied, 4, "%v", denied)
		for i, subject := range []string{"curfew.control.*", "curfew.control.fleet", "curfew.control.workers"} {
			require.Equal(t, Denial{Subject: subject}, denied[i])
		}
		require.Contains(t, denied[3].String(), `publish to "curfew.events.`)
	}
}
