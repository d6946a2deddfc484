// Command model searches explicit-state models of the protocol for a broken promise: `make model`.
//
// Two kinds of configurations: the protocol as built, under faults, where none may be found; and the same with one rule missing, where
// one must be found, with the way there. A search that a limit ends says so: it has found nothing, and proved nothing.
//
//	go run ./integration/model                       # all of them, within the limits
//	go run ./integration/model -only halt -each 10m  # those whose name has this in it
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"curfew/integration/model/jobs"
	"curfew/integration/model/lease"
	"curfew/integration/model/search"
)

// entry is a case of either model.
type entry struct {
	model, name, broken, why string
	search                   func(search.Limits) search.Result
}

func entries() []entry {
	var all []entry
	for _, c := range lease.Cases() {
		all = append(all, entry{"lease", c.Name, c.Broken, c.Why, func(l search.Limits) search.Result { return lease.Search(c.Config(), l) }})
	}
	for _, c := range jobs.Cases() {
		all = append(all, entry{"jobs", c.Name, c.Broken, c.Why, func(l search.Limits) search.Result { return jobs.Search(c.Config(), l) }})
	}
	return all
}

func main() {
	each := flag.Duration("each", 90*time.Second, "how long one configuration is searched")
	total := flag.Duration("time", 30*time.Minute, "how long all of them are")
	states := flag.Int("states", 2_500_000, "states of one configuration at most: some 700 bytes each")
	only := flag.String("only", "", "only configurations whose name has this in it")
	flag.Parse()
	end := time.Now().Add(*total)
	wrong := 0
	for _, e := range entries() {
		if !strings.Contains(e.model+": "+e.name, *only) {
			continue
		}
		left := min(*each, time.Until(end))
		if left <= 0 {
			report(os.Stdout, e, search.Result{Stopped: "the time for all of them: not looked at"})
			continue
		}
		if !report(os.Stdout, e, e.search(search.Limits{States: *states, Time: left})) {
			wrong++
		}
	}
	if wrong > 0 {
		fmt.Fprintf(os.Stderr, "%d configurations are not as expected\n", wrong)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// report prints what was found, and answers whether it was expected.
func report(out io.Writer, e entry, r search.Result) (expected bool) {
	expected = r.Broken == e.broken || r.Stopped != ""
	verdict := "nothing is broken, every state was looked at"
	switch {
	case r.Stopped != "":
		verdict = "not decided: ended by " + r.Stopped
	case r.Broken != "":
		verdict = "BROKEN: " + r.Broken
	}
	if !expected {
		verdict += fmt.Sprintf(" - UNEXPECTED, it should be: %s", cmp.Or(e.broken, "nothing is broken"))
	}
	_, _ = fmt.Fprintf(out, "%-5s  %-58s %8d states %7s  %s\n", e.model, e.name, r.States, r.Took.Round(100*time.Millisecond), verdict)
	if e.why != "" {
		_, _ = fmt.Fprintf(out, "       what for: %s\n", e.why)
	}
	for _, line := range r.Trace {
		_, _ = fmt.Fprintf(out, "         %s\n", line)
	}
	return expected
}
