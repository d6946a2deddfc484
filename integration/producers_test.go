package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProducers: the programs of docs/protocol.md publish a job and print its end, as the producer of docs/operations.md.
func TestProducers(t *testing.T) {
	t.Parallel()
	share(t)
	o := newOffice(t)
	o.must("operator", "setup")
	o.worker("w1")
	goProgram := func(source string) []string {
		bin := o.path("publish-go")
		build := exec.Command("go", "build", "-o", bin, source)
		build.Dir = ".." // the module, for its dependencies
		text, err := build.CombinedOutput()
		require.NoError(t, err, "%s", text)
		return []string{bin}
	}
	for _, p := range []struct { //nolint:paralleltest // they share the office, which ends with this function
		language, first, file string
		role                  string
		command               func(source string) []string
	}{
		{language: "go", first: "// Publishes a job and prints how it ended.", file: "publish.go", role: "producer", command: goProgram},
		{language: "python", first: "#!/usr/bin/env python3", file: "publish.py", role: "producer", command: interpreter("python3")},
		{language: "js", first: "// Publishes a job and prints how it ended.", file: "publish.js", role: "producer", command: interpreter("node")},
		{language: "sh", first: "# publish.sh: NATS_URL, NATS_USER and NATS_PASSWORD say where, $1 is the prompt", file: "publish.sh", role: "operator", command: natsCLI},
	} {
		t.Run(p.language, func(t *testing.T) {
			source := o.path(p.file)
			require.NoError(t, os.WriteFile(source, []byte(block(t, "protocol.md", p.language, p.first)), 0o600))
			command := p.command(source)
			if command == nil {
				require.NotContains(t, os.Getenv("CURFEW_TEST_REQUIRE"), p.language, "what runs %s is asked for and not in PATH", p.file)
				t.Skip("not in PATH: what runs " + p.file)
			}
			run := func(role, secret string, args ...string) (string, error) {
				cmd := exec.CommandContext(t.Context(), command[0], append(command[1:len(command):len(command)], args...)...)
				cmd.Env = append(baseEnv(), "NATS_URL=nats://"+hostPort(o.nport), "NATS_USER="+role, "NATS_PASSWORD="+secret)
				text, err := cmd.CombinedOutput()
				return string(text), err
			}
			text, err := run(p.role, password(p.role), "echo it is $((40+2)) now")
			require.NoError(t, err, text)
			require.Contains(t, text, "succeeded")
			require.Contains(t, text, "it is 42 now")
			if p.language == "sh" {
				return
			}

			session := newSession()
			text, err = run(p.role, password(p.role), "echo first", session)
			require.NoError(t, err, text)
			text, err = run(p.role, password(p.role), "echo twice", session)
			require.NotContains(t, text, "twice", "its id did not keep it from being stored twice")
			if p.language == "go" { // it reads the stream and finds the end that there was
				require.NoError(t, err)
				require.Contains(t, text, "first")
			} else {
				require.Error(t, err)
				require.Contains(t, text, "was published before")
			}
			text, err = run(p.role, "wrong")
			require.Error(t, err, text)
			text, err = run("viewer", password("viewer"), "echo viewers publish nothing")
			require.Error(t, err)
			require.Contains(t, strings.ToLower(text), "permissions violation")
		})
	}
}

// interpreter runs a source file where this machine has the language.
func interpreter(name string) func(string) []string {
	return func(source string) []string {
		path, err := exec.LookPath(name)
		if err != nil || exec.Command(path, "--version").Run() != nil {
			return nil
		}
		return []string{path, source}
	}
}

// natsCLI runs a shell script where this machine has the nats command.
func natsCLI(source string) []string {
	if _, err := exec.LookPath("nats"); err != nil {
		return nil
	}
	return []string{"/bin/sh", source}
}
