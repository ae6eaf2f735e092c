package surface

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Filters is what the seccomp filters of a process leave it of the kernel's system calls.
type Filters struct {
	// Pid as the process was asked for.
	Pid int `json:"pid"`
	// Count and Instructions of its filters.
	Count        int `json:"count"`
	Instructions int `json:"instructions"`
	// Reachable of the system calls that Linux numbers on this architecture, and how many those are.
	Reachable int `json:"reachable"`
	Of        int `json:"of"`
	// Unreadable says why the filters are not known. Then the other numbers say nothing.
	Unreadable string `json:"unreadable,omitempty"`
}

// Numbers of the system calls that golang.org/x/sys has for an architecture, from and to, and what filters call the architecture.
var tables = map[string]struct {
	architecture uint32
	ranges       [][2]uint32
}{
	"amd64": {unix.AUDIT_ARCH_X86_64, [][2]uint32{{0, 336}, {424, 471}}},
	"arm64": {unix.AUDIT_ARCH_AARCH64, [][2]uint32{{0, 244}, {260, 294}, {424, 471}}},
}

// Longest time for a process to stop, which a look at its filters takes.
const patience = 2 * time.Second

// count tells how many system calls all of the filters let through.
func count(filters [][]unix.SockFilter) (reachable, of int) {
	table := tables[runtime.GOARCH]
	for _, one := range table.ranges {
		for number := one[0]; number <= one[1]; number++ {
			of++
			through := true
			for _, filter := range filters {
				through = through && lets(filter, table.architecture, number)
			}
			if through {
				reachable++
			}
		}
	}
	return reachable, of
}

// FiltersOf reads the filters of a process. It stops for some milliseconds at most, and goes on where it was.
//
// With a machine, the process is the one that has this number in a container of this host whose first process the host knows by the
// number `machine`, or by that of its parent.
func FiltersOf(pid, machine int) Filters {
	found := Filters{Pid: pid}
	filters, err := read(pid, machine)
	found.Reachable, found.Of = count(filters)
	if err != nil {
		return Filters{Pid: pid, Of: found.Of, Unreadable: err.Error()}
	}
	found.Count = len(filters)
	for _, one := range filters {
		found.Instructions += len(one)
	}
	return found
}

func read(pid, machine int) ([][]unix.SockFilter, error) {
	if machine != 0 {
		own, err := inMachine(machine, pid)
		if err != nil {
			return nil, err
		}
		pid = own
	}
	switch mode, err := field(pid, "Seccomp"); {
	case err != nil:
		return nil, err
	case mode == "0":
		return nil, nil
	case mode != "2":
		return nil, fmt.Errorf("seccomp of mode %s has no filter", mode)
	}
	// The tracer is a thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(pid); err != nil {
		return nil, fmt.Errorf("PTRACE_SEIZE: %w", err)
	}
	defer unix.PtraceDetach(pid)
	if err := stop(pid); err != nil {
		return nil, err
	}
	var filters [][]unix.SockFilter
	for {
		filter, err := get(pid, len(filters))
		if errors.Is(err, unix.ENOENT) {
			return filters, nil
		}
		if err != nil {
			return nil, fmt.Errorf("PTRACE_SECCOMP_GET_FILTER: %w%s", err, reasons[err])
		}
		filters = append(filters, filter)
	}
}

var reasons = map[error]string{
	unix.EACCES: "; the kernel shows filters only to root of the machine itself, outside of user namespaces and without a filter of its own",
	unix.EINVAL: "; the kernel was built without CONFIG_CHECKPOINT_RESTORE",
	unix.EIO:    "; the kernel was built without CONFIG_CHECKPOINT_RESTORE",
}

func stop(pid int) error {
	if err := unix.PtraceInterrupt(pid); err != nil {
		return fmt.Errorf("PTRACE_INTERRUPT: %w", err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var status unix.WaitStatus
		switch who, err := unix.Wait4(pid, &status, unix.WNOHANG|unix.WALL, nil); {
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("process %d: %w", pid, err)
		case who == pid && status.Stopped():
			return nil
		case who == pid:
			return fmt.Errorf("process %d has ended", pid)
		}
	}
	return fmt.Errorf("process %d did not stop within %v", pid, patience)
}

// get reads one filter of a process that is stopped: its length first.
func get(pid, index int) ([]unix.SockFilter, error) {
	ask := func(buffer unsafe.Pointer) (int, error) {
		length, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SECCOMP_GET_FILTER, uintptr(pid), uintptr(index), uintptr(buffer), 0, 0)
		if errno != 0 {
			return 0, errno
		}
		return int(length), nil
	}
	length, err := ask(nil)
	if err != nil || length == 0 {
		return nil, err
	}
	filter := make([]unix.SockFilter, length)
	_, err = ask(unsafe.Pointer(&filter[0]))
	return filter, err
}

// field reads a line of /proc/PID/status.
func field(pid int, name string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(text) {
		if value, found := bytes.CutPrefix(line, []byte(name+":")); found {
			return string(bytes.Join(bytes.Fields(value), []byte(" "))), nil
		}
	}
	return "", fmt.Errorf("/proc/%d/status has no %s", pid, name)
}

// inMachine finds the process that has the number `pid` in a container of this host.
func inMachine(machine, pid int) (int, error) {
	found, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, place := range found {
		own, err := strconv.Atoi(filepath.Base(place))
		if err != nil {
			continue
		}
		// Its numbers, from this host's inwards.
		numbers, err := field(own, "NSpid")
		if err != nil {
			continue // it has ended meanwhile
		}
		if all := bytes.Fields([]byte(numbers)); len(all) > 1 && string(all[1]) == strconv.Itoa(pid) && below(own, machine) {
			return own, nil
		}
	}
	return 0, fmt.Errorf("no process %d is in the machine of process %d", pid, machine)
}

// below tells whether a process comes from another one, or is it.
func below(pid, ancestor int) bool {
	for pid > 1 && pid != ancestor {
		parent, err := field(pid, "PPid")
		if err != nil {
			return false
		}
		if pid, err = strconv.Atoi(parent); err != nil {
			return false
		}
	}
	return pid == ancestor
}
