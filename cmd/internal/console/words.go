package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode"

	"curfew/cmd/internal/board"
	"curfew/registry"
	"curfew/worker"
)

// funcs are what the templates call things. html/template escapes; what it would let through and still could mislead a
// reader, as text that turns around, is made plain here.
func funcs() template.FuncMap {
	return template.FuncMap{
		"plain": func(v any) string { return plain(fmt.Sprint(v)) }, "age": age, "clock": clock, "tone": tone, "verdict": verdict, "mood": mood, "exit": exit,
		"summary": summary, "chart": chartOf,
		"secs":    func(d time.Duration) int64 { return int64(max(d, 0) / time.Second) },
		"share":   func(d time.Duration, percent int64) int64 { return int64(d/time.Second) * percent / 100 },
		"percent": func(d, of time.Duration) string { return fmt.Sprintf("%.0f %%", 100*float64(d)/float64(max(of, 1))) },
	}
}

// plainMax is how many characters of a name are shown.
const plainMax = 120

// plain makes text from outside fit for a line: what cannot be printed, line ends and marks of direction among it, becomes
// a question mark, and what is too long is cut.
func plain(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > plainMax {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// age writes how long something is.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
}

// clock writes a moment in the worker's zone, with the day where it is another one.
func clock(t time.Time) string {
	t = t.Local()
	if y, m, d := time.Now().Date(); t.Year() == y && t.Month() == m && t.Day() == d {
		return t.Format("15:04:05 MST")
	}
	return t.Format("2006-01-02 15:04:05 MST")
}

func tone(s registry.State) string {
	switch s {
	case registry.StateRunning:
		return "is-good"
	case registry.StateBackoff, registry.StatePaused:
		return "is-warn"
	case registry.StateExpired, registry.StateCancelled:
		return "is-bad"
	case registry.StateIdle:
	}
	return "is-soft"
}

func verdict(e board.End) string {
	switch {
	case e.Outcome == string(worker.Succeeded):
		return "is-good"
	case e.Buried:
		return "is-bad"
	default:
		return "is-warn"
	}
}

func mood(s worker.State) string {
	switch s {
	case worker.StatePulling:
		return "is-good"
	case worker.StateRefusing, worker.StateHalted:
		return "is-bad"
	case worker.StateDraining, worker.StateAway:
	}
	return "is-warn"
}

// exit says how the process ended where that tells more than the outcome.
func exit(e board.End) string {
	switch {
	case e.Exit.Signal != "":
		return plain(e.Exit.Signal)
	case e.Exit.Code != nil && *e.Exit.Code != 0:
		return fmt.Sprintf("exit %d", *e.Exit.Code)
	default:
		return ""
	}
}

// summary is what is read out to those who do not see the totals.
func summary(v *board.View) string {
	halted := ""
	if v.Halt.On {
		halted = "The fleet is halted. "
	}
	t := v.Totals
	return fmt.Sprintf("%s%d running, %d in backoff, %d paused, %d queued sessions, %d waiting jobs, %d workers.",
		halted, t.Running, t.Backoff, t.Paused, t.Queued, t.Jobs, t.Workers)
}
