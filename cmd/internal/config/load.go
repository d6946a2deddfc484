package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// DefaultFile is read where no other is named, if it is there.
const DefaultFile = "curfew.yaml"

// Sources is where a configuration comes from.
type Sources struct {
	File    string                            // --config; "": $CURFEW_CONFIG, else DefaultFile where it exists
	Environ []string                          // as os.Environ gives it
	Flags   map[string]Flag                   // key -> what a flag set it to
	Base    func(c *Config)                   // changes the defaults before anything is read; nil for none
	Read    func(path string) ([]byte, error) // nil: os.ReadFile
}

// Flag is a value given on the command line.
type Flag struct {
	Name  string // "--concurrency"
	Value string
}

// Loaded is a configuration that was read and found valid.
type Loaded struct {
	Config
	File     string            // the file that was read, "" for none
	Given    map[string]bool   // keys that were set by somebody
	Where    map[string]string // of those: where from, as "curfew.yaml:12", "CURFEW_NATS_URL", "--concurrency"
	Warnings []string          // variables that mean nothing
}

// Load reads the sources in order of precedence, then the files that hold secrets, and validates. Its error is *Error
// for what the operator can put right there, ErrNoFile (wrapped) for a file that was named and is missing.
func Load(s Sources) (Loaded, error) {
	l := &loader{Sources: s, where: map[string]string{}}
	if l.Read == nil {
		l.Read = os.ReadFile
	}
	out := Loaded{Config: Default()}
	if s.Base != nil {
		s.Base(&out.Config)
	}
	env := variables(s.Environ)
	file, text, err := l.open(env)
	if err != nil {
		return out, err
	}
	out.File = file
	if text != nil {
		l.file(file, text, &out.Config)
	}
	out.Warnings = l.environment(env, &out.Config)
	l.flags(&out.Config)
	l.secrets(&out.Config)
	if len(l.problems) == 0 {
		l.validate(&out.Config)
	}
	out.Given, out.Where = map[string]bool{}, maps.Clone(l.where)
	for key := range l.where {
		out.Given[key] = true
	}
	if len(l.problems) > 0 {
		return out, &Error{Problems: l.problems}
	}
	return out, nil
}

// loader remembers where each value came from, so that a refusal can say so.
type loader struct {
	Sources
	where    map[string]string
	problems []Problem
}

func (l *loader) wrong(key, format string, args ...any) {
	l.problems = append(l.problems, Problem{Where: l.where[key], Key: key, Text: fmt.Sprintf(format, args...)})
}

// open finds the file and reads it. No file at all is fine, unless one was named.
func (l *loader) open(env map[string]string) (string, []byte, error) {
	named := l.File
	if named == "" {
		named = env["CURFEW_CONFIG"]
	}
	path := named
	if path == "" {
		path = DefaultFile
	}
	text, err := l.Read(path)
	switch {
	case err == nil:
		return path, text, nil
	case named == "" && errors.Is(err, fs.ErrNotExist):
		return "", nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, fmt.Errorf("%w: %s (`curfew config example > %s` writes one)", ErrNoFile, path, path)
	default:
		return "", nil, &Error{Problems: []Problem{{Where: path, Text: "cannot be read: " + cause(err)}}}
	}
}

func (l *loader) file(path string, text []byte, c *Config) {
	r := &reader{file: path, anchors: map[string]ast.Node{}, lines: map[string]int{}}
	r.read(text, c)
	l.problems = append(l.problems, r.problems...)
	for key, line := range r.lines {
		l.where[key] = fmt.Sprintf("%s:%d", path, line)
	}
}

// environment applies the CURFEW_ variables and answers a warning for each that means nothing.
func (l *loader) environment(env map[string]string, c *Config) []string {
	known := map[string]key{}
	for _, k := range keys(c) {
		known[k.variable()] = k
	}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		k, ok := known[name]
		switch {
		case ok:
			l.where[k.name] = name
			if err := setText(k.value, env[name]); err != nil {
				l.wrong(k.name, "%v", err)
			}
		case !ours(name):
			warnings = append(warnings, name+" is set and means nothing: variables are named CURFEW_<SECTION>_<KEY>, as CURFEW_NATS_URL")
		}
	}
	return warnings
}

// ours tells the variables that are not configuration: the name of the file, and what a subprocess of a worker finds
// in its environment, from where it may well call curfew itself.
func ours(name string) bool {
	switch name {
	case "CURFEW_CONFIG", "CURFEW_SESSION", "CURFEW_JOB", "CURFEW_ATTEMPT", "CURFEW_FENCE", "CURFEW_DEADLINE",
		"CURFEW_CREATED_AT", "CURFEW_WORKER":
		return true
	}
	return false
}

func (l *loader) flags(c *Config) {
	for _, k := range keys(c) {
		flag, ok := l.Flags[k.name]
		if !ok {
			continue
		}
		l.where[k.name] = flag.Name
		if err := setText(k.value, flag.Value); err != nil {
			l.wrong(k.name, "%v", err)
		}
	}
}

// secrets reads the files that stand for a value. Both the file and the value given is a mistake: which one holds?
func (l *loader) secrets(c *Config) {
	for _, s := range []struct {
		key, path string
		value     *string
	}{
		{"nats.password", c.NATS.PasswordFile, &c.NATS.Password},
		{"redis.password", c.Redis.PasswordFile, &c.Redis.Password},
		{"http.token", c.HTTP.TokenFile, &c.HTTP.Token},
	} {
		if s.path == "" {
			continue
		}
		if *s.value != "" {
			l.wrong(s.key+"_file", "%s is given as well: leave one of the two out", s.key)
			continue
		}
		text, err := l.Read(s.path)
		if err != nil {
			l.wrong(s.key+"_file", "%s cannot be read: %s", s.path, cause(err))
			continue
		}
		if *s.value = strings.TrimRight(string(text), "\r\n"); *s.value == "" {
			l.wrong(s.key+"_file", "%s is empty", s.path)
		}
	}
}

// variables keeps the CURFEW_ part of an environment; of a name given twice the last one counts, as for exec.
func variables(environ []string) map[string]string {
	found := map[string]string{}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(name, "CURFEW_") {
			found[name] = value
		}
	}
	return found
}

// cause leaves out the path that fs errors repeat.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
