package worker

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// obey is the test agent: `sleep D`, `exit N`, `kill SIGNUM`, `say WORD`,
// `complain WORD`, `trap N` (SIGTERM exits with code N), `deaf` (ignores SIGTERM), `await FILE`,
// `flood BYTES` (on stdout), `abandon N` (processes that live on, out of its group).
func obey(words []string) int {
	for i := 0; i < len(words); i++ {
		arg := func() string { i++; return words[i] }
		switch words[i] {
		case "sleep":
			d, _ := time.ParseDuration(arg())
			time.Sleep(d)
		case "exit":
			n, _ := strconv.Atoi(arg())
			return n
		case "kill":
			// The Go runtime handles some signals itself; a shell dies of any.
			_ = syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -" + arg() + " $$"}, nil)
		case "say":
			fmt.Println(arg())
		case "complain":
			fmt.Fprintln(os.Stderr, arg())
		case "trap":
			n, _ := strconv.Atoi(arg())
			c := make(chan os.Signal, 1)
			signal.Notify(c, syscall.SIGTERM)
			go func() { <-c; os.Exit(n) }()
		case "await":
			for file := arg(); ; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(file); err == nil {
					break
				}
			}
		case "flood":
			n, _ := strconv.Atoi(arg())
			line := append(bytes.Repeat([]byte("x"), 1023), '\n')
			for ; n > 0; n -= len(line) {
				_, _ = os.Stdout.Write(line)
			}
		case "abandon":
			n, _ := strconv.Atoi(arg())
			for range n {
				c := exec.Command("/bin/sleep", "300")
				c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
				_ = c.Start()
			}
		case "deaf":
			signal.Ignore(syscall.SIGTERM)
		}
	}
	return 0
}
