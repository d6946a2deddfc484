package queue

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Event is one line of a session's history, as JSON on its events subject. Zero fields are left out.
type Event struct {
	Type      string       `json:"type"`
	Final     bool         `json:"final,omitempty"` // exactly one per job
	Session   string       `json:"session,omitempty"`
	Seq       uint64       `json:"seq,omitempty"`
	Job       string       `json:"job,omitempty"`
	Agent     string       `json:"agent,omitempty"`
	Attempt   int          `json:"attempt,omitempty"`
	Fence     uint64       `json:"fence,omitempty"`
	Worker    string       `json:"worker,omitempty"`
	At        time.Time    `json:"-"` // "at", RFC 3339 in UTC with milliseconds
	Outcome   string       `json:"outcome,omitempty"`
	Reason    string       `json:"reason,omitempty"`
	Exit      *EventExit   `json:"exit,omitempty"`
	Result    *EventResult `json:"result,omitempty"`
	Usage     *EventUsage  `json:"usage,omitempty"`
	RetryInMS int64        `json:"retry_in_ms,omitempty"`
	Purged    uint64       `json:"purged,omitempty"`
}

// EventExit is how the subprocess ended: a code, or a signal's name.
type EventExit struct {
	Code   *int   `json:"code,omitempty"`
	Signal string `json:"signal,omitempty"`
}

// EventResult is the agent's answer.
type EventResult struct {
	Text      string `json:"text"`
	Truncated bool   `json:"truncated"`
}

// EventUsage is what the run used.
type EventUsage struct {
	CostUSD      float64 `json:"cost_usd"`
	InputTokens  int64   `json:"input_tokens"`
	OutputTokens int64   `json:"output_tokens"`
}

const milliseconds = "2006-01-02T15:04:05.000Z07:00"

// plainEvent has Event's fields without its methods.
type plainEvent Event

type eventJSON struct {
	plainEvent
	At string `json:"at"`
}

// MarshalJSON writes the event as the outside reads it.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(eventJSON{plainEvent(e), e.At.UTC().Format(milliseconds)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Event) UnmarshalJSON(b []byte) error {
	var got eventJSON
	if err := json.Unmarshal(b, &got); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, got.At)
	if err != nil {
		return fmt.Errorf("event's at: %w", err)
	}
	*e = Event(got.plainEvent)
	e.At = at
	return nil
}

// encode answers the event's JSON, its result cut down until it fits: a final event must never be impossible to publish.
func (e Event) encode(largest int) ([]byte, error) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	for {
		b, err := json.Marshal(e)
		if err != nil || len(b) <= largest || e.Result == nil || e.Result.Text == "" {
			return b, err
		}
		half := e.Result.Text[:len(e.Result.Text)/2]
		for len(half) > 0 && !utf8.ValidString(half) && utf8.ValidString(e.Result.Text) {
			half = half[:len(half)-1]
		}
		e.Result = &EventResult{Text: half, Truncated: true}
	}
}
