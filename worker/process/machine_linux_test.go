package process

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wholeProgram is a job through the program itself: worker and supervisor move
// into a leaf, the run gets its limits, and its end is told by its reason.
const wholeProgram = `set -e
cat >curfew.yaml <<END
worker: {run_dir: $HOME/run, drain_timeout: 1s}
retry: {attempts: 1}
agents:
  default:
    command: [/process.test, "200"]
    env: {set: {PROCESS_TEST_CHILD: eat}}
    limits: {memory_max: 64MiB, pids_max: 60}
END
IFS=: read -r id controllers path </proc/self/cgroup
own=/sys/fs/cgroup$path
mkdir "$own/shell" "$own/unit"
echo $$ >"$own/shell/cgroup.procs"
echo "+memory +pids" >"$own/cgroup.subtree_control"
sh -c 'echo $$ >"$0/unit/cgroup.procs"; exec /curfew dev --config curfew.yaml --data "$HOME/dev"' "$own" >log 2>&1 &
n=0
until grep -q "worker ready" log; do
	n=$((n+1)); [ $n -lt 600 ] || { cat log; exit 1; }
	sleep 0.2
done
/curfew publish new x --wait --config curfew.yaml >said 2>&1 || code=$?
cat said
cat /proc/$!/cgroup
grep -q "out of memory: memory_max 64MiB" said && grep -q /curfew-worker /proc/$!/cgroup && [ "$code" = 10 ] || { cat log; exit 1; }
kill $!
wait $! || { cat log; exit 1; }
`

// bootMachine is the first process of a virtual machine (see .ci/vm-test), whose
// kernel has the cgroup v2 controllers that a container's has not. It mounts
// what a system has, makes a cgroup for root and one that is delegated to an
// ordinary user, has the tests run in each, says how they ended and switches
// the machine off.
func bootMachine() {
	failed := prepareMachine()
	for _, user := range []struct {
		name string
		id   int
	}{{"root", 0}, {"ordinary", 1000}} {
		for _, part := range []struct{ program, argument string }{
			{"/bin/sh", wholeProgram},
			{"/process.test", "^(TestMemoryMax|TestMemoryMaxOfATool|TestOutOfMemoryAround|TestPidsMax|TestChainInLimits|TestOOMScoreOfAnOrdinaryUser|" +
				"TestCollectByCgroup|TestCollectNestedCgroups|TestLeaf|TestConfined|TestNoNewPrivs|TestCredential|TestLimits)$"},
			{"/supervisor.test", "^(TestWorkerKilled|TestWorkerKilledWithAChain|TestSupervisorKilled|TestBothKilled|TestFrozenWorker)$"},
		} {
			err := testsOfMachine(user.name, user.id, part.program, part.argument)
			fmt.Printf("machine: %s of %s: %v\n", part.program, user.name, err)
			if err != nil {
				failed = err
			}
		}
	}
	if failed == nil {
		fmt.Println("machine: all passed")
	} else {
		fmt.Println("machine: failed:", failed)
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	forever()
}

func prepareMachine() error {
	for _, m := range []struct{ kind, dir, options string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"devtmpfs", "/dev", ""},
		{"tmpfs", "/tmp", "mode=1777"},
		{"cgroup2", "/sys/fs/cgroup", ""},
	} {
		_ = os.MkdirAll(m.dir, 0o755)
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, m.options); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	if err := control("/sys/fs/cgroup", "cgroup.subtree_control", "+memory +pids"); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	return swapOn("/brd.ko", 256*mega)
}

// swapOn makes a RAM disk swap: what matters is that the kernel would use it.
func swapOn(module string, size int) error {
	file, err := os.Open(module)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := unix.FinitModule(int(file.Fd()), fmt.Sprintf("rd_nr=1 rd_size=%d", size>>10), 0); err != nil {
		return fmt.Errorf("load %s: %w", module, err)
	}
	disk, err := os.OpenFile("/dev/ram0", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	// The header of a swap area: version, last page; its signature ends the page.
	const page = 4096
	var head bytes.Buffer
	head.Write(make([]byte, 1024))
	_ = binary.Write(&head, binary.NativeEndian, []uint32{1, uint32(size/page - 1), 0}) //nolint:gosec // it fits
	head.Write(make([]byte, page-10-head.Len()))
	head.WriteString("SWAPSPACE2")
	if _, err := disk.Write(head.Bytes()); err != nil {
		return err
	}
	if err := disk.Close(); err != nil {
		return err
	}
	path, err := unix.BytePtrFromString("/dev/ram0")
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SWAPON, uintptr(unsafe.Pointer(path)), 0, 0); errno != 0 {
		return fmt.Errorf("swapon: %w", errno)
	}
	return nil
}

// loopbackUp is for the servers that come with the program.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return nil
}

// testsOfMachine runs tests, or a script, in a new cgroup, which belongs to the user.
func testsOfMachine(name string, uid int, program, argument string) error {
	own := filepath.Join("/sys/fs/cgroup", name+"-"+filepath.Base(program))
	home := filepath.Join("/tmp", name+"-"+filepath.Base(program))
	argv := []string{program, "-test.v", "-test.timeout", "30m", "-test.run", argument}
	env := []string{"PATH=/usr/bin:/bin", "HOME=" + home, "USER=" + name}
	if program == "/bin/sh" {
		argv = []string{program, "-c", argument}
	} else {
		env = append(env, controllersVar+"=yes")
	}
	for _, dir := range []string{own, home} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chown(dir, uid, uid); err != nil {
			return err
		}
	}
	for _, file := range []string{"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} { // as systemd delegates
		if err := os.Chown(filepath.Join(own, file), uid, uid); err != nil {
			return err
		}
	}
	fd, err := unix.Open(own, unix.O_DIRECTORY|unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	pid, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{
		Dir: home, Files: []uintptr{0, 1, 2},
		Env: append(env, "TMPDIR="+home),
		Sys: &syscall.SysProcAttr{
			UseCgroupFD: true, CgroupFD: fd, Setsid: true,
			Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}, //nolint:gosec // not negative
		},
	})
	if err != nil {
		return err
	}
	for { // the first process has everybody's orphans to reap
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err != nil && err != syscall.EINTR: //nolint:errorlint // straight from the system
			return err
		case got == pid && status.ExitStatus() != 0:
			return fmt.Errorf("exit code %s", strconv.Itoa(status.ExitStatus()))
		case got == pid:
			return nil
		}
	}
}
