package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// linuxPrograms are further programs for main_test.go.
func linuxPrograms() map[string]func(args []string) {
	return map[string]func(args []string){
		"orphanage":  orphanage,
		"undumpable": undumpable,
		"doomed":     doomed,
		"host":       host,
		"limited":    limited,
		"moved":      moved,
		"reused":     reused,
		"eat":        eat,
		"humble":     humble,
	}
}

// naked leaves an orphan with neither environment nor token.
const naked = `( prlimit --locks=4096: env -i setsid /bin/sh -c 'sleep 61 & sleep 61' </dev/null >/dev/null 2>&1 & )`

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(90)
	}
}

func fifo(dir, name string) (path string, file *os.File) {
	path = filepath.Join(dir, name)
	must(unix.Mkfifo(path, 0o600))
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	must(err)
	return path, file
}

func held(file *os.File, wait time.Duration) bool {
	must(file.SetReadDeadline(time.Now().Add(wait)))
	_, err := file.Read(make([]byte, 1))
	return os.IsTimeout(err)
}

func begin(path, run, text string) (*Process, *recorder) {
	s := Spec{Path: "/bin/sh", Args: []string{"-c", "exec 9>" + path + "\n" + text}, Env: []string{"PATH=/usr/bin:/bin"}}
	r := newRecorder()
	s.Sink = r
	p, err := Start(context.Background(), marked(s, "w1", run))
	must(err)
	return p, r
}

// orphanage is a worker with an older and a younger run, both with naked orphans.
func orphanage(args []string) {
	must(AdoptOrphans(context.Background()))
	olderPath, older := fifo(args[0], "older")
	youngerPath, younger := fifo(args[0], "younger")
	p, r := begin(olderPath, "older", naked+"\necho ready; exec sleep 61")
	<-r.lines
	time.Sleep(50 * time.Millisecond) // the clock of starts is coarse
	q, r := begin(youngerPath, "younger", naked+"\necho ready; exec 9>&-; exec sleep 61")
	<-r.lines
	p.Kill(nil)
	e := p.Exit()
	fmt.Printf("older run: alive %d, held %v, leftovers %d\n", e.Alive, held(older, time.Second), e.Leftovers)
	fmt.Printf("younger run's orphan: held %v\n", held(younger, 50*time.Millisecond))
	q.Kill(nil)
	<-q.Done()
	fmt.Printf("afterwards: held %v\n", held(younger, time.Second))
	wrong := 0
	over := make(chan struct{})
	go func() { // far more often than it ever would
		for {
			select {
			case <-over:
				return
			default:
				theKin().reapStrangers()
			}
		}
	}()
	for i := range 200 { // a status that the reaper takes is lost
		s := Spec{Path: "/bin/sh", Args: []string{"-c", "( sleep 0 & ) ; exit " + strconv.Itoa(i%100)}, Env: []string{"PATH=/usr/bin:/bin"}}
		p, err := Start(context.Background(), s)
		must(err)
		if p.Exit().Code != i%100 {
			wrong++
		}
	}
	close(over)
	fmt.Println("wrong statuses", wrong)
	zombies := -1
	for end := time.Now().Add(5 * time.Second); zombies != 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		zombies = len(children())
	}
	fmt.Println("zombies", zombies)
}

// undumpable is a worker that others may not read.
func undumpable(args []string) {
	must(unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	path, file := fifo(args[0], "fifo")
	p, r := begin(path, "run", detached+";"+cleared+";"+plainly+`
cat /proc/$PPID/environ >/dev/null 2>&1 && echo read || echo refused
cat /proc/$$/environ >/dev/null 2>&1 && echo read || echo refused
sleep 0.2`)
	fmt.Println("own environment readable by a child:", <-r.lines == "read")
	fmt.Println("the child dumpable:", <-r.lines == "read")
	e := p.Exit()
	fmt.Printf("alive %d, held %v, leftovers %d\n", e.Alive, held(file, time.Second), e.Leftovers)

	// Its own child, another worker, is killed: the subprocess dies with it.
	path2, file2 := fifo(args[0], "fifo2")
	q, err := Start(context.Background(), Spec{
		Path: selfPath(), Args: []string{path2}, Env: []string{childVar + "=doomed", raceFast},
	})
	must(err)
	for !held(file2, 10*time.Millisecond) { // until the grandchild has opened it
		continue
	}
	must(syscall.Kill(q.PID(), syscall.SIGKILL))
	<-q.Done()
	fmt.Println("died with it:", !held(file2, time.Second))
}

// doomed is an unreadable worker with one subprocess, and waits to be killed.
func doomed(args []string) {
	must(unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	_, r := begin(args[0], strconv.Itoa(os.Getpid()), "echo ready; exec sleep 61")
	<-r.lines
	forever()
}
