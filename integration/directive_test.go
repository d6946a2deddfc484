package integration

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// scriptMark opens a prompt that the witness obeys. Any other prompt is opaque to it: read, hashed, answered with exit 0.
const scriptMark = "#!witness\n"

// directive is one line of a script: an optional condition on the attempt, a verb, its arguments.
//
//	sleep D             for as long
//	await FILE          until the file exists
//	exit N              now
//	exit-unless FILE N  now, if the file does not exist
//	signal NAME         die by it (KILL, TERM, SEGV ...)
//	term-exit N D       from here on: answer SIGTERM with exit N after D
//	ignore-term         from here on
//	stderr TEXT         a line
//	print N             N bytes on stdout, without a newline
//	print-lines N       N bytes on stdout, in lines of 100
//	close-output        stdout and stderr, and goes on
//	stop-self           as SIGSTOP does
//	fork N FILE         N children that want to live on, every second one in a session of its own; their pids go to the file
//	touch FILE          says that it has come this far
//
// "@2 exit 1" only counts in attempt 2, "@2+ exit 1" from attempt 2 on, "@-2 exit 1" up to attempt 2.
type directive struct {
	from, to int
	verb     string
	args     []string
}

// arity is how many arguments each verb takes; -1: the rest of the line is one.
var arity = map[string]int{
	"sleep": 1, "await": 1, "exit": 1, "exit-unless": 2, "signal": 1, "term-exit": 2, "ignore-term": 0, "stderr": -1, "print": 1, "touch": 1,
	"print-lines": 1, "close-output": 0, "stop-self": 0, "fork": 2,
}

func script(lines ...string) string {
	return scriptMark + strings.Join(lines, "\n") + "\n"
}

// parseScript reads directives, one a line. A mistake in one is an error: a typo must not make a test pass.
func parseScript(text string) ([]directive, error) {
	var out []directive
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		d, err := parseDirective(line)
		if err != nil {
			return nil, fmt.Errorf("directive %q: %w", line, err)
		}
		out = append(out, d)
	}
	return out, nil
}

func parseDirective(line string) (directive, error) {
	d := directive{from: 1, to: 1 << 30}
	if strings.HasPrefix(line, "@") {
		cond, rest, _ := strings.Cut(line[1:], " ")
		n, err := strconv.Atoi(strings.Trim(cond, "+-"))
		if err != nil {
			return d, fmt.Errorf("attempt: %w", err)
		}
		switch {
		case strings.HasSuffix(cond, "+"):
			d.from = n
		case strings.HasPrefix(cond, "-"):
			d.to = n
		default:
			d.from, d.to = n, n
		}
		line = rest
	}
	verb, rest, _ := strings.Cut(line, " ")
	want, known := arity[verb]
	if !known {
		return d, fmt.Errorf("no verb %q", verb)
	}
	d.verb, d.args = verb, strings.Fields(rest)
	if want < 0 {
		d.args, want = []string{rest}, 1
	}
	if len(d.args) != want {
		return d, fmt.Errorf("%s takes %d arguments, has %d", verb, want, len(d.args))
	}
	return d, d.check()
}

// check reads the arguments once, so that a witness cannot fail half way.
func (d directive) check() error {
	var err error
	switch d.verb {
	case "sleep":
		_, err = time.ParseDuration(d.args[0])
	case "exit", "print", "print-lines", "fork":
		_, err = strconv.Atoi(d.args[0])
	case "exit-unless":
		_, err = strconv.Atoi(d.args[1])
	case "term-exit":
		if _, err = strconv.Atoi(d.args[0]); err == nil {
			_, err = time.ParseDuration(d.args[1])
		}
	}
	return err
}

func (d directive) applies(attempt int) bool { return d.from <= attempt && attempt <= d.to }

func (d directive) number(i int) int {
	n, _ := strconv.Atoi(d.args[i]) // check has read it before
	return n
}

func (d directive) duration(i int) time.Duration {
	v, _ := time.ParseDuration(d.args[i]) // check has read it before
	return v
}
