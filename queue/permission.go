package queue

import (
	"errors"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go"
)

const (
	publishing  = "publish on"
	subscribing = "subscribe to"
)

// violation is how the server words it: nats.go hands the text on and nothing else.
var violation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription)\b.*? (?:to|of) "([^"]*)"`)

// permission answers what a refusal of the server was about, or nil where the error is another one.
func permission(err error) *PermissionError {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	found := violation.FindStringSubmatch(err.Error())
	if found == nil {
		return &PermissionError{Action: "do this:", Subject: err.Error()}
	}
	if strings.EqualFold(found[1], "publish") {
		return &PermissionError{Action: publishing, Subject: found[2]}
	}
	return &PermissionError{Action: subscribing, Subject: found[2]}
}
