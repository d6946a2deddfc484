package integration

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// droppedLine is how `curfew logs` says that output is missing.
var droppedLine = regexp.MustCompile(`(?m)^curfew: (\d+) bytes of (stdout|stderr) dropped: .*\n`)

// TestOutputThroughAnOutage: while NATS is away an agent prints more than the worker keeps. It is not held up and not
// ended; what had to go is counted, and said in the stream, by the byte.
func TestOutputThroughAnOutage(t *testing.T) {
	t.Parallel()
	share(t)
	port, err := freePort()
	require.NoError(t, err)
	w := newWorld(t, ownStack(t, anyRedis), patientLease, func(c *config) {
		c.HTTP.Listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	})
	w.worker("w1")
	const printed = 40 << 20 // 16 MiB are kept
	gate := w.gate("outage")
	session := newSession()
	j := w.publish(session, script("stderr begun", "await "+gate, fmt.Sprintf("print-lines %d", printed), "stderr over"))
	pid := w.untilStart(j, 1).PID
	w.until(patience, func() bool { return strings.Contains(w.must("logs", session).stderr, "begun") }, "the beginning is stored")

	w.stack.nats.kill()
	w.open(gate)
	w.until(patience, func() bool { return !alive(pid) }, "the agent prints it all and ends, with NATS away")
	require.NoError(t, w.stack.nats.start())
	final := w.untilFinal(j)
	require.Equal(t, "succeeded", final.Outcome, final.Reason)
	require.Equal(t, 1, final.Attempt)

	var logs answer
	dropped := map[string]int{}
	w.until(patience, func() bool { // what was kept arrives meanwhile
		logs = w.must("logs", session)
		clear(dropped)
		for _, m := range droppedLine.FindAllStringSubmatch(logs.stderr, -1) {
			n, _ := strconv.Atoi(m[1])
			dropped[m[2]] += n
		}
		return len(logs.stdout)+dropped["stdout"] >= printed
	}, "all of the output is there, or said to be dropped")
	require.Equal(t, printed, len(logs.stdout)+dropped["stdout"], "what is there and what is not")
	require.Positive(t, dropped["stdout"], "the outage was too short to show anything")
	rest := droppedLine.ReplaceAllString(logs.stderr, "")
	require.Equal(t, len("begun\nover\n"), len(rest)+dropped["stderr"], "%q", rest)
	metric := gauge(t, fmt.Sprintf("http://127.0.0.1:%d/metrics", port), "curfew_output_dropped_bytes_total")
	require.Equal(t, dropped["stdout"]+dropped["stderr"], metric)
	t.Logf("%d bytes of %d dropped", dropped["stdout"], printed)
	w.finish()
}
