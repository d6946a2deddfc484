package queue

import (
	"fmt"
	"regexp"
	"strings"
)

var namespacePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// invalidToken stands where a session would in the subjects of letters and events of jobs that name none.
const invalidToken = "invalid"

// Names holds every name that the outside sees of one namespace. Make it with NamesFor.
type Names struct {
	Namespace string

	Jobs, Events, Output, Dead string // streams
	Sessions                   string // key-value bucket of the records (package registry makes it)
	Consumer                   string // durable consumer of the jobs stream

	AllJobs, AllWakes, AllEvents, AllOutput, AllDead, AllControl string // wildcard subjects
}

// NamesFor answers the names of a namespace, or an error when it does not match ^[a-z][a-z0-9_-]{0,31}$.
func NamesFor(namespace string) (Names, error) {
	if !namespacePattern.MatchString(namespace) {
		return Names{}, fmt.Errorf("namespace %+q: want a lower-case letter, then up to 31 of a-z, 0-9, _ and -", namespace)
	}
	upper := strings.ToUpper(namespace)
	return Names{
		Namespace: namespace,
		Jobs:      upper + "_JOBS",
		Events:    upper + "_EVENTS",
		Output:    upper + "_OUTPUT",
		Dead:      upper + "_DEAD",
		Sessions:  upper + "_SESSIONS",
		Consumer:  "workers",

		// Several tokens are captured too: a job under a mistaken subject must be buried, not lost.
		AllJobs:    namespace + ".jobs.>",
		AllWakes:   namespace + ".wake.*",
		AllEvents:  namespace + ".events.*",
		AllOutput:  namespace + ".output.*",
		AllDead:    namespace + ".dead.*",
		AllControl: namespace + ".control.*",
	}, nil
}

// JobSubject is where jobs of the session are published.
func (n Names) JobSubject(session string) string { return n.Namespace + ".jobs." + session }

// WakeSubject carries wakes: news that the session has work.
func (n Names) WakeSubject(session string) string { return n.Namespace + ".wake." + session }

// EventSubject carries the session's events; "" stands for jobs that name no session.
func (n Names) EventSubject(session string) string {
	return n.Namespace + ".events." + orInvalid(session)
}

// OutputSubject carries what the session's subprocesses wrote.
func (n Names) OutputSubject(session string) string {
	return n.Namespace + ".output." + orInvalid(session)
}

// DeadSubject carries the session's dead letters; "" stands for jobs that name no session.
func (n Names) DeadSubject(session string) string { return n.Namespace + ".dead." + orInvalid(session) }

// ControlSubject (core NATS) nudges the session's holder.
func (n Names) ControlSubject(session string) string { return n.Namespace + ".control." + session }

// FleetSubject (core NATS) nudges every worker.
func (n Names) FleetSubject() string { return n.Namespace + ".control.fleet" }

// RollSubject (core NATS) asks every worker who it is.
func (n Names) RollSubject() string { return n.Namespace + ".control.workers" }

func orInvalid(session string) string {
	if session == "" {
		return invalidToken
	}
	return session
}

// ValidSession tells whether s is a canonical lower-case UUID. Nothing is normalised: two spellings would be two sessions.
func ValidSession(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// sessionIn answers the session that a subject under one of the wildcards names, or "".
func sessionIn(wildcard, subject string) string {
	rest, ok := strings.CutPrefix(subject, strings.TrimRight(wildcard, "*>"))
	if !ok || !ValidSession(rest) {
		return ""
	}
	return rest
}

// target answers the subject of one session under a wildcard: all for "", the ones without a session for "invalid".
func target(wildcard, session string) (string, error) {
	if session == "" {
		return wildcard, nil
	}
	if session != invalidToken && !ValidSession(session) {
		return "", invalidf("session %+q is not a lower-case UUID", session)
	}
	return strings.TrimRight(wildcard, "*>") + session, nil
}
