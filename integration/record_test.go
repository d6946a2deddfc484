package integration

import (
	"encoding/json"
	"time"

	"github.com/stretchr/testify/require"
)

// record is the part of a session's record that these tests look at.
type record struct {
	CreatedAt time.Time `json:"created_at"`
	Tombstone *struct {
		Why string `json:"why"`
	} `json:"tombstone"`
	Run *struct {
		Worker string `json:"worker"`
	} `json:"run"`
}

func (w *world) record(session string) record {
	w.t.Helper()
	bucket, err := w.js.KeyValue(w.ctx(), w.stream("SESSIONS"))
	require.NoError(w.t, err)
	e, err := bucket.Get(w.ctx(), session)
	require.NoError(w.t, err)
	var r record
	require.NoError(w.t, json.Unmarshal(e.Value(), &r))
	return r
}

// sessionEvents are events of one type that are about the session and no job.
func (w *world) sessionEvents(session, kind string) []event {
	w.t.Helper()
	var out []event
	for _, e := range w.readEvents() {
		if e.Type == kind && e.Session == session && e.Job == "" {
			out = append(out, e)
		}
	}
	return out
}
