package integration

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// parallel is how many scenarios run at once. They wait most of their time, so it may exceed the number of cores.
const parallel = "5"

var (
	lab *laboratory

	composeToo = flag.Bool("compose", false, "start docker-compose.yml for real (TestCompose): needs a Docker engine and minutes")
	clusters   = flag.Bool("clusters", false, "the long form of the scenarios on a NATS cluster and on Redis Sentinel")
)

// soak asks for the full sizes: minutes, and gigabytes of output.
var soak = flag.Bool("soak", false, "run the long tests at their full size (make soak)")

// sized is how much of something a test does: the little that every run can afford, or all of it with -soak.
func sized(short, full int) int {
	if *soak {
		return full
	}
	return short
}

var allPairs = flag.Bool("pairs", false, "TestPairs runs every traffic under every fault, not a selection: ten to thirty minutes")

// TestMain is several programs: the agent that workers start (the witness), others that scenarios need, and the test run.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	if os.Getenv(witnessEnv) != "" {
		os.Exit(witness())
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	flag.Parse()
	if !flagGiven("test.parallel") {
		if err := flag.Set("test.parallel", parallel); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	var err error
	if lab, err = newLaboratory(); err != nil {
		fmt.Fprintln(os.Stderr, "integration: prepare the work folder:", err)
		return 2
	}
	defer lab.close()
	return m.Run()
}

func flagGiven(name string) bool {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
