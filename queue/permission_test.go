package queue

import (
	"errors"
	"fmt"
	"testing"

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
