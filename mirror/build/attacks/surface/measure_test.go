package surface

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This program, as a process that has a filter of its own, and waits.
func TestMain(m *testing.M) {
	if os.Getenv("FILTERED") == "" {
		os.Exit(m.Run())
	}
	filter := []unix.SockFilter{number, isEqual(unix.SYS_REBOOT, 0, 1), deny, allow}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		panic(errno)
	}
	os.Stdout.WriteString("filtered\n")
	io.Copy(io.Discard, os.Stdin)
}

// started runs this program with a filter, as processes of its own number space where that is asked for.
func started(t *testing.T, attributes syscall.SysProcAttr) *exec.Cmd {
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), "FILTERED=yes")
	child.SysProcAttr = &attributes
	input, _ := child.StdinPipe()
	output, _ := child.StdoutPipe()
	if err := child.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { input.Close(); child.Wait() })
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	return child
}

// unrestricted skips where no process may read another's filters.
func unrestricted(t *testing.T, found Filters) {
	if strings.HasPrefix(found.Unreadable, "PTRACE_SECCOMP_GET_FILTER: permission denied; the kernel shows filters only to root of the machine itself") {
		t.Skip(found.Unreadable)
	}
}

func TestTheFiltersOfAProcessAreRead(t *testing.T) {
	pid := started(t, syscall.SysProcAttr{}).Process.Pid
	found := FiltersOf(pid, 0)
	unrestricted(t, found)
	// What runs this may have filters, too.
	own := FiltersOf(os.Getppid(), 0)
	if found.Unreadable != "" || found.Count != own.Count+1 || found.Reachable > found.Of-1 || found.Instructions < 4 {
		t.Errorf("%+v", found)
	}
	if state, _ := field(pid, "TracerPid"); state != "0" {
		t.Errorf("it is still traced by %s", state)
	}
}

func TestTheProcessOfAMachineIsFoundByItsNumberThere(t *testing.T) {
	child := started(t, syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID})
	found := FiltersOf(1, child.Process.Pid)
	unrestricted(t, found)
	if found.Unreadable != "" || found.Pid != 1 || found.Count == 0 {
		t.Errorf("%+v", found)
	}
	if other := FiltersOf(1, os.Getppid()+1_000_000); !strings.HasPrefix(other.Unreadable, "no process 1 is in the machine of process ") {
		t.Errorf("%+v", other)
	}
}

func TestWhatCannotBeReadSaysWhy(t *testing.T) {
	if found := FiltersOf(1<<30, 0); !strings.Contains(found.Unreadable, "no such file") || found.Of == 0 || found.Reachable != 0 {
		t.Errorf("%+v", found)
	}
}

func TestAllIsMeasuredInTimeWithAPeerAndWithout(t *testing.T) {
	const peer = "127.0.0.1:7078"
	go Serve(peer, time.Minute)
	t.Setenv("TMPDIR", t.TempDir())
	for to, isPeer := range map[string]bool{peer: true, "127.0.0.1:7079": false} {
		start := time.Now()
		found := Measure(to)
		if time.Since(start) > limit+time.Second || found.Peer != isPeer || len(found.Costs) != 5 {
			t.Errorf("%v %+v", time.Since(start), found)
		}
		for _, one := range found.Costs {
			if one.Failed != "" || one.Value <= 0 {
				t.Errorf("%+v", one)
			}
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}
