package queue

import (
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
)

// carried copies the headers that follow a job into its letter, or a letter's into its replay: none that would command
// the server (Nats-*), none of those left out (lower-case names), none whose name cannot be sent. Values are kept byte for
// byte, except that the protocol has no place for line ends.
func carried(h Header, leave map[string]bool) nats.Header {
	out := nats.Header{}
	for name, values := range h {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, natsPrefix) || leave[lower] || !sendable(name) {
			continue
		}
		out[name] = slices.Clone(values)
	}
	return out
}

// sendable tells whether nats.go would send a header of this name instead of refusing the whole message.
func sendable(name string) bool {
	if name == "" {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c < 33 || c > 126 || strings.IndexByte(`"()/,:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return true
}

// maxHeaderBytes is the size of a header block that every server stores (64 KiB less one is the limit, the id and the
// stream's name are added later).
const maxHeaderBytes = 63 << 10

// fit drops the largest of the carried headers until the message can be sent, and answers how many it dropped. The body and
// the headers in keep are never dropped.
func fit(m *nats.Msg, keep map[string]bool, largest int) (dropped int) {
	size := func(name string) (n int) {
		for _, v := range m.Header[name] {
			n += len(name) + len(v) + 4
		}
		return n
	}
	names := slices.DeleteFunc(slices.Collect(maps.Keys(m.Header)), func(n string) bool { return keep[strings.ToLower(n)] })
	slices.SortFunc(names, func(a, b string) int { return size(b) - size(a) })
	for _, name := range names {
		if total := jobSize(m); total <= largest && total-len(m.Data) <= maxHeaderBytes {
			break
		}
		delete(m.Header, name)
		dropped++
	}
	return dropped
}

func sortedNames(h Header) []string { return slices.Sorted(maps.Keys(h)) }
