package integration

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// record is the part of a session's record that these tests look at.
type record struct {
	CreatedAt time.Time `json:"created_at"`
	Tombstone *struct {
		Why       string `json:"why"`
		Announced bool   `json:"announced"`
	} `json:"tombstone"`
	Run *struct {
		Worker string `json:"worker"`
	} `json:"run"`
}

// announced says that the session was ended, and that this was told.
func (r record) announced() bool { return r.Tombstone != nil && r.Tombstone.Announced }

func (w *world) record(session string) record {
	w.t.Helper()
	bucket, err := w.js.KeyValue(w.ctx(), w.stream("SESSIONS"))
	require.NoError(w.t, err)
	var r record
	e, err := bucket.Get(w.ctx(), session)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return r
	}
	require.NoError(w.t, err)
	require.NoError(w.t, json.Unmarshal(e.Value(), &r))
	return r
}

// expiries are the events that say of the session itself, and of no job, that it has expired.
func (w *world) expiries(session string) []event {
	w.t.Helper()
	var out []event
	for _, e := range w.readEvents() {
		if e.Type == "expired" && e.Session == session && e.Job == "" {
			out = append(out, e)
		}
	}
	return out
}
