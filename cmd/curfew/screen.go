package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The escapes of a terminal that a screen uses.
const (
	screenEnter = "\x1b[?1049h\x1b[?25l" // the other screen, without a cursor
	screenLeave = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	lineRest    = "\x1b[K" // blanks to the end of the line
	screenRest  = "\x1b[J" // blanks to the end of the screen
)

// screen shows one text after the other in place. Each is one write that goes over the last one from the top: nothing is
// blanked first, so nothing flickers.
type screen struct {
	w    io.Writer
	size func() (columns, rows int)
}

// screenOn takes the terminal over; nil where w is none, or one that shall get plain text.
func (a *app) screenOn(w io.Writer) *screen {
	f, ok := w.(*os.File)
	if !ok || !a.colored(w) {
		return nil
	}
	s := &screen{w: w, size: func() (int, int) { return terminalSize(f) }}
	_, _ = io.WriteString(w, screenEnter)
	return s
}

func (s *screen) close() { _, _ = io.WriteString(s.w, screenLeave) }

// show replaces what is shown, cut to what fits.
func (s *screen) show(text string) error {
	columns, rows := s.size()
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > rows {
		lines = append(lines[:max(rows-1, 0)], "... more than fits")
	}
	var b strings.Builder
	b.WriteString(screenHome)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(cut(line, columns))
		b.WriteString(lineRest)
	}
	b.WriteString(screenRest)
	_, err := io.WriteString(s.w, b.String())
	return err
}

// cut shortens a line to so many characters.
func cut(line string, columns int) string {
	runes := []rune(line)
	if len(runes) <= columns {
		return line
	}
	return string(runes[:max(columns-1, 0)]) + "…"
}

// terminalSize answers the size of a terminal, 80 by 24 where it does not tell.
func terminalSize(f *os.File) (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}
