package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// format is -o: text for people, json for programs.
type format string

const (
	formatText format = "text"
	formatJSON format = "json"
)

// String, Set and Type make it a flag.
func (f *format) String() string { return string(*f) }

// Set takes text or json.
func (f *format) Set(s string) error {
	switch format(s) {
	case formatText, formatJSON:
		*f = format(s)
		return nil
	}
	return fmt.Errorf("must be text or json")
}

// Type is what the usage calls the value.
func (f *format) Type() string { return "json|text" }

// outputFlag adds -o to a command.
func outputFlag(flags *pflag.FlagSet) *format {
	f := formatText
	flags.VarP(&f, "output", "o", "print text, or json for programs")
	return &f
}

// printJSON prints one value, indented: people read it too.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printJSONLine prints one value on one line, for commands that print one after the other.
func printJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints aligned columns; on a terminal what is too wide for it is cut, a session's UUID never.
func table(w io.Writer, header []string, rows [][]string) error {
	for _, row := range rows {
		for i := range row {
			row[i] = cell(row[i])
		}
	}
	if f, ok := w.(*os.File); ok && isTerminal(f) && len(rows) > 0 && len(header) > 2 {
		columns, _ := terminalSize(f)
		fit(header, rows, columns)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// narrowest is how far a column is cut at most.
const narrowest = 6

// fit cuts the widest columns until a line has so many characters, or no column can give more.
func fit(header []string, rows [][]string, columns int) {
	const gap = 2
	widths, total := make([]int, len(header)), -gap
	for i := range header {
		widths[i] = utf8.RuneCountInString(header[i])
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		total += widths[i] + gap
	}
	least := func(i int) int {
		if header[i] == "SESSION" || header[i] == "ID" {
			return widths[i]
		}
		return max(narrowest, utf8.RuneCountInString(header[i]))
	}
	for total > columns {
		widest := -1
		for i := range widths {
			if widths[i] > least(i) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
		total--
		for _, row := range rows {
			row[widest] = cut(row[widest], widths[widest])
		}
	}
}

// cell makes text from outside safe to print in a table: no line ends, tabs or escapes of a terminal.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// age writes how long something is, for people.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// when writes a moment for people: date, time and zone.
func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// jsonTime is how times are written: UTC with milliseconds. The zero time is null.
type jsonTime time.Time

// MarshalJSON writes RFC 3339 with milliseconds.
func (t jsonTime) MarshalJSON() ([]byte, error) { //nolint:unparam // json asks for this signature
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000Z07:00"`)), nil
}

// say prints a line about what was done, to people only.
func say(cmd *cobra.Command, f format, text string, args ...any) {
	if f == formatText {
		fmt.Fprintf(cmd.OutOrStdout(), text+"\n", args...)
	}
}
