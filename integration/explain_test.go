package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// around is how much before and after a violation is told.
const around = 30 * time.Second

var uuidPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// moment is one line of a story.
type moment struct {
	At   time.Time
	Text string
}

// explain tells the first violations with what happened around them: the runs and events of their sessions, and the faults.
func explain(h history, broken []string, first int) string {
	var b strings.Builder
	for i, v := range broken {
		if i == first {
			fmt.Fprintf(&b, "... and %d more\n", len(broken)-first)
			break
		}
		fmt.Fprintf(&b, "%s\n", v)
		session := uuidPattern.FindString(v)
		if session == "" {
			continue
		}
		for _, m := range story(h, session) {
			fmt.Fprintf(&b, "    %s %s\n", m.At.Format("15:04:05.000"), m.Text)
		}
	}
	return b.String()
}

// story is everything about a session, in the order of time.
func story(h history, session string) []moment {
	var out []moment
	for _, j := range h.Jobs {
		if j.Session == session {
			out = append(out, moment{j.At, fmt.Sprintf("published %s seq %d", j.Name, j.Seq)})
		}
	}
	for _, e := range h.Entries {
		if e.Session == session {
			out = append(out, moment{e.At, fmt.Sprintf("%s %s attempt %d fence %d pid %d on %s, exit %d%s %s", e.Kind, e.Job, e.Attempt, e.Fence, e.PID, e.Worker, e.Code, e.Signal, e.Note)})
		}
	}
	for _, e := range h.Events {
		if e.Session == session {
			out = append(out, moment{e.At, "event " + e.String()})
		}
	}
	byTime := func(a, b moment) int { return a.At.Compare(b.At) }
	slices.SortStableFunc(out, byTime)
	if len(out) == 0 {
		return nil
	}
	from, to := out[0].At.Add(-around), out[len(out)-1].At.Add(around)
	for _, s := range h.Faults {
		if s.To.After(from) && s.From.Before(to) {
			out = append(out, moment{s.From, "FAULT " + s.Name}, moment{s.To, "healed " + s.Name})
		}
	}
	for _, s := range h.Stalls {
		if s.To.After(from) && s.From.Before(to) {
			out = append(out, moment{s.From, "the machine stands still for " + s.To.Sub(s.From).String()})
		}
	}
	slices.SortStableFunc(out, byTime)
	return out
}

// keep leaves what is needed to understand a broken promise in a folder of its own.
func (r *rig) keep(seed uint64, h history, broken []string) (dir string, err error) {
	dir = *chaosKeep
	if dir == "" {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("curfew-chaos-%d", seed))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return dir, err
	}
	story := explain(h, broken, 20)
	if err := os.WriteFile(filepath.Join(dir, "violations.txt"), []byte(strings.Join(broken, "\n")+"\n\n"+story), 0o600); err != nil {
		return dir, err
	}
	if err := writeLines(filepath.Join(dir, "faults.jsonl"), h.Faults); err != nil {
		return dir, err
	}
	lines := make([]any, 0, len(h.Jobs)+len(h.Entries)+len(h.Events))
	for _, j := range h.Jobs {
		lines = append(lines, map[string]any{"published": j.Name, "session": j.Session, "seq": j.Seq, "at": j.At, "wants": j.Want, "body": string(j.Body), "header": j.Header})
	}
	for _, e := range h.Entries {
		lines = append(lines, e)
	}
	for _, e := range h.Events {
		lines = append(lines, e)
	}
	if err := writeLines(filepath.Join(dir, "history.jsonl"), lines); err != nil {
		return dir, err
	}
	logs, _ := filepath.Glob(filepath.Join(r.dir, "*.log"))
	servers, _ := filepath.Glob(filepath.Join(r.stack.nats.dir, "*.log"))
	for _, file := range append(logs, servers...) {
		data, err := os.ReadFile(file)
		if err != nil {
			return dir, err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), data, 0o600); err != nil {
			return dir, err
		}
	}
	return dir, nil
}

func writeLines[T any](path string, all []T) error {
	var b strings.Builder
	for _, one := range all {
		line, err := json.Marshal(one)
		if err != nil {
			return err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}
