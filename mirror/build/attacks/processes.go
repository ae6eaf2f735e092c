package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// neighbour finds a process that the worker has started for this run, by its name. It belongs to no pod.
func (target Target) neighbour() (string, error) {
	name := []byte("runtime-sandboxes-decoys-" + target.run)
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if text, err := os.ReadFile(path); err == nil && bytes.HasPrefix(text, name) {
			return filepath.Base(filepath.Dir(path)), nil
		}
	}
	return "", errors.New("none of the worker's processes is seen")
}

// withNeighbour tries something on it.
func withNeighbour(try func(pid int) Outcome) func(Target) Outcome {
	return func(target Target) Outcome {
		name, err := target.neighbour()
		if err != nil {
			return refused(err)
		}
		pid, err := strconv.Atoi(name)
		if err != nil {
			return refused(err)
		}
		return try(pid)
	}
}

func hostProcesses(int) Outcome { return did("a process of the worker") }

// A trace that does not stop it, and ends with this process.
func ptraceNeighbour(pid int) Outcome {
	if err := unix.PtraceSeize(pid); err != nil {
		return refused(err)
	}
	return did("a process of the worker, traced")
}

// Eight bytes where its program begins.
func neighbourMemory(pid int) Outcome {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return refused(err)
	}
	var start uint64
	if _, err := fmt.Sscanf(string(text), "%x-", &start); err != nil {
		return refused(fmt.Errorf("/proc/%d/maps: %w", pid, err))
	}
	buffer := make([]byte, 8)
	local := []unix.Iovec{{Base: &buffer[0], Len: uint64(len(buffer))}}
	remote := []unix.RemoteIovec{{Base: uintptr(start), Len: len(buffer)}}
	if _, err := unix.ProcessVMReadv(pid, local, remote, 0); err != nil {
		return refused(err)
	}
	return did("its memory")
}

// The worker has put its secret there, too.
func neighbourEnvironment(pid int) Outcome {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return refused(err)
	}
	for variable := range bytes.SplitSeq(text, []byte{0}) {
		if value, found := bytes.CutPrefix(variable, []byte("MARKER=")); found {
			return Outcome{Did: true, Saw: "its environment", Proof: &Proof{Of: "marker", Value: string(value)}}
		}
	}
	return refused(errors.New("no marker in its environment"))
}

// A descriptor of another process, as one's own.
func neighbourDescriptor(pid int) Outcome {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(process)
	fd, err := unix.PidfdGetfd(process, 0, 0)
	if err != nil {
		return refused(err)
	}
	unix.Close(fd)
	return did("one of its descriptors")
}
