package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// entry is one line of a session's journal. Witnesses append it with one write, so lines are whole and in order.
type entry struct {
	Kind    string    `json:"kind"` // start, end, overlap, confused
	Session string    `json:"session"`
	Job     string    `json:"job"`
	Attempt int       `json:"attempt"`
	Fence   uint64    `json:"fence"`
	Worker  string    `json:"worker"`
	PID     int       `json:"pid"`
	At      time.Time `json:"at"`
	Code    int       `json:"code,omitempty"`   // end: exit code
	Signal  string    `json:"signal,omitempty"` // end: it is about to die by this one
	SHA256  string    `json:"sha256,omitempty"` // end: of the prompt
	Note    string    `json:"note,omitempty"`
}

const (
	kindStart    = "start"
	kindEnd      = "end"
	kindOverlap  = "overlap"
	kindConfused = "confused"
)

func appendEntry(dir string, e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, e.Session+".journal"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(line, '\n'))
	return err
}

// readJournals returns the entries of all sessions in dir: each session's in the order they were written.
func readJournals(dir string) ([]entry, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	var out []entry
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				break // caught in the middle of a write
			}
			var e entry
			if err := json.Unmarshal(line, &e); err != nil {
				return nil, fmt.Errorf("%s: %w: %q", file, err, line)
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// run is one subprocess as its witness told it. Ended is false for one that was killed.
type run struct {
	entry
	Ended  bool
	Finish time.Time
	Exit   int
	By     string // signal it sent itself
	Prompt string // SHA-256
}

// runsOf pairs starts and ends. A run is known by its fence, its pid and its session together.
func runsOf(entries []entry) []run {
	type key struct {
		session string
		pid     int
		fence   uint64
	}
	var out []run
	at := map[key]int{}
	for _, e := range entries {
		k := key{e.Session, e.PID, e.Fence}
		switch e.Kind {
		case kindStart:
			at[k] = len(out)
			out = append(out, run{entry: e})
		case kindEnd:
			if i, ok := at[k]; ok {
				r := &out[i]
				r.Ended, r.Finish, r.Exit, r.By, r.Prompt = true, e.At, e.Code, e.Signal, e.SHA256
			}
		}
	}
	return out
}

func (r run) String() string {
	how := "killed or alive"
	switch {
	case r.Ended && r.By != "":
		how = "SIG" + r.By
	case r.Ended:
		how = fmt.Sprintf("exit %d", r.Exit)
	}
	return strings.TrimSpace(fmt.Sprintf("%s attempt %d fence %d pid %d on %s: %s", r.Job, r.Attempt, r.Fence, r.PID, r.Worker, how))
}
