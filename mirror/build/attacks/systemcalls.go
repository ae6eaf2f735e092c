package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// descriptor makes a system call that gives a descriptor, and closes that.
func descriptor(number, a, b, c uintptr) Outcome {
	fd, _, errno := unix.Syscall(number, a, b, c)
	if errno != 0 {
		return refused(errno)
	}
	unix.Close(int(fd))
	return did("a file descriptor")
}

func bpf(Target) Outcome {
	attributes := struct{ kind, key, value, entries uint32 }{unix.BPF_MAP_TYPE_ARRAY, 4, 4, 1}
	return descriptor(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes))
}

func perfEventOpen(Target) Outcome {
	event := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Bits: unix.PerfBitDisabled}
	event.Size = uint32(unsafe.Sizeof(event))
	fd, err := unix.PerfEventOpen(&event, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return refused(err)
	}
	unix.Close(fd)
	return did("a counter of the kernel's")
}

// The Sentry can have rings of its own, without io_uring_register: the host's kernel names its operations.
func ioUring(Target) Outcome {
	const setup, register, probe = unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_REGISTER, 8
	parameters := [120]byte{}
	fd, _, errno := unix.Syscall(setup, 1, uintptr(unsafe.Pointer(&parameters)), 0)
	if errno != 0 {
		return refused(errno)
	}
	defer unix.Close(int(fd))
	operations := [16 + 256*8]byte{}
	if _, _, errno = unix.Syscall6(register, fd, probe, uintptr(unsafe.Pointer(&operations)), 256, 0, 0); errno != 0 {
		return refused(fmt.Errorf("a ring without operations: %w", errno))
	}
	return did("a ring with %d operations", operations[1])
}

func userfaultfd(Target) Outcome { return descriptor(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0) }

// The process's own keyring goes with the process.
func addKey(Target) Outcome {
	if _, err := unix.AddKey("user", "runtime-sandboxes", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING); err != nil {
		return refused(err)
	}
	return did("a key")
}

// A handle of a file that kubelet has mounted from the worker's disk; with one, any inode of that disk can be named.
func openByHandleAt(Target) Outcome {
	const mounted = "/etc/hosts"
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, mounted, 0)
	if err != nil {
		return refused(err)
	}
	mount, err := unix.Open(mounted, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(mount)
	fd, err := unix.OpenByHandleAt(mount, handle, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return refused(err)
	}
	unix.Close(fd)
	return did("a file of the worker's disk by its inode")
}

// Flags that do not exist, and more segments than there may be: nothing is loaded or unloaded.
func kexecLoad(Target) Outcome {
	_, _, errno := unix.Syscall6(unix.SYS_KEXEC_LOAD, 0, 1<<20, 0, 0xfff0, 0, 0)
	return didIf(errno, unix.EINVAL)
}

// A module without a byte is none.
func initModule(Target) Outcome {
	return didIf(unix.InitModule(nil, ""), unix.ENOEXEC)
}

// The kernel looks at the right first, and then for a descriptor that is not there.
func finitModule(Target) Outcome {
	return didIf(unix.FinitModule(-1, "", 0), unix.EBADF)
}

// A file system that only a kernel has that runs a machine; asked for by the calls of CVE-2022-0185. The Sentry looks at the name
// later: so one that no kernel has must be refused.
func fsopen(Target) Outcome {
	fd, err := unix.Fsopen("debugfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return refused(err)
	}
	unix.Close(fd)
	if fd, err = unix.Fsopen("runtime-sandboxes-none", unix.FSOPEN_CLOEXEC); err == nil {
		unix.Close(fd)
		return refused(errors.New("a context for any name"))
	}
	return did("a context for debugfs")
}

// In a mount namespace of its own, which ends with the process.
func mountKernelFilesystem(Target) Outcome {
	place, err := privatePlace()
	if err != nil {
		return refused(err)
	}
	defer os.Remove(place)
	var refusals []error
	for _, kind := range []string{"debugfs", "tracefs", "securityfs", "bpf", "pstore"} {
		if err := unix.Mount("none", place, kind, unix.MS_RDONLY, ""); err != nil {
			refusals = append(refusals, fmt.Errorf("%s: %w", kind, err))
			continue
		}
		unix.Unmount(place, unix.MNT_DETACH)
		return did("%s, mounted", kind)
	}
	return refused(first(refusals))
}

// privatePlace makes a directory, and sees to it that what is mounted there stays in this mount namespace.
func privatePlace() (string, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", err
	}
	return os.MkdirTemp("", "attacks")
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return errors.New("nothing to try")
}

// It runs in user and network namespaces of its own, where it is root.
func userNamespaceNetfilter(Target) Outcome { return netlink(unix.NETLINK_NETFILTER) }

func fanotify(Target) Outcome {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, unix.O_RDONLY)
	if err != nil {
		return refused(err)
	}
	unix.Close(fd)
	return did("a watch that can hold up every open of a file system")
}

// A tick that no clock may have: the kernel looks at the right first, and changes nothing.
func clockAdjtime(Target) Outcome {
	_, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &unix.Timex{Modes: unix.ADJ_TICK, Tick: 1})
	return didIf(err, unix.EINVAL)
}

// Without the magic numbers it is no order.
func reboot(Target) Outcome {
	_, _, errno := unix.Syscall6(unix.SYS_REBOOT, 0, 0, 0, 0, 0, 0)
	return didIf(errno, unix.EINVAL)
}

// SYSLOG_ACTION_READ_ALL takes nothing out of the log. gVisor's own begins with the same line in each release.
func syslog(Target) Outcome {
	text := make([]byte, 1<<18)
	count, err := unix.Klogctl(3, text)
	if err != nil {
		return refused(err)
	}
	line := firstLine(text[:count])
	if count == 0 || len(line) > 20 && line[len(line)-20:] == "] Starting gVisor..." {
		return refused(fmt.Errorf("a log of its own: %q", line))
	}
	return did("the kernel's log")
}

// What nsenter does: the worker's mount namespace by its first process, and a file there.
func setnsHost(target Target) Outcome {
	place, err := os.Open("/proc/1/ns/mnt")
	if err != nil {
		return refused(err)
	}
	defer place.Close()
	// A thread that shares its root directory with others cannot go elsewhere.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return refused(err)
	}
	if err := unix.Setns(int(place.Fd()), unix.CLONE_NEWNS); err != nil {
		return refused(err)
	}
	return marker(filepath.Join("/", target.marker()))
}
