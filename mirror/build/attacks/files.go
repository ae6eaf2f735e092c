package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where the worker has put a file with a secret, which no pod is given.
func (target Target) marker() string { return "run/runtime-sandboxes-decoys-" + target.run + "/marker" }

// Where the pods have what they are given of the worker: a directory with the engine's socket, and its /dev.
const (
	given        = "/given"
	givenDevices = "/given-devices"
)

// From any directory to the root of its file system.
var up = strings.Repeat("/..", 12)

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return string(line)
}

// marker reads the secret; the worker tells whether it is right.
func marker(paths ...string) Outcome {
	var refusals []error
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err == nil {
			return Outcome{Did: true, Saw: "the marker, by " + path, Proof: &Proof{Of: "marker", Value: firstLine(text)}}
		}
		refusals = append(refusals, err)
	}
	return refused(first(refusals))
}

// ofKernel adds whose /proc and /sys these are: a sandbox has its own, with some of the same names.
func ofKernel(outcome Outcome) Outcome {
	version, err := os.ReadFile("/proc/version")
	if !outcome.Did || err != nil {
		return outcome
	}
	outcome.Proof = &Proof{Of: "kernel", Value: firstLine(version)}
	return outcome
}

func openAndClose(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// opened opens the first of some files that can be, and writes nothing into it.
func opened(flags int, patterns ...string) Outcome {
	var refusals []error
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err == nil && len(paths) == 0 {
			err = fmt.Errorf("%s: %w", pattern, unix.ENOENT)
		}
		refusals = append(refusals, err)
		for _, path := range paths {
			if err := openAndClose(path, flags); err != nil {
				refusals = append(refusals, fmt.Errorf("%s: %w", path, err))
				continue
			}
			return did("%s, opened", path)
		}
	}
	return refused(first(refusals))
}

func writable(patterns ...string) func(Target) Outcome {
	return func(Target) Outcome { return ofKernel(opened(unix.O_WRONLY, patterns...)) }
}

func readable(patterns ...string) func(Target) Outcome {
	return func(Target) Outcome { return ofKernel(opened(unix.O_RDONLY, patterns...)) }
}

// Through the root directory of a process of the worker.
func hostRoot(target Target) Outcome {
	paths := []string{filepath.Join("/proc/1/root", target.marker())}
	if pid, err := target.neighbour(); err == nil {
		paths = append(paths, filepath.Join("/proc", pid, "root", target.marker()))
	}
	return marker(paths...)
}

// A directory of the worker that whoever started this has left open, as in CVE-2024-21626.
func leakedDescriptors(target Target) Outcome {
	var paths []string
	for _, process := range []string{"self", fmt.Sprint(os.Getppid()), "1"} {
		found, _ := filepath.Glob("/proc/" + process + "/fd/*")
		for _, one := range append(found, "/proc/"+process+"/cwd") {
			if info, err := os.Stat(one); err == nil && info.IsDir() {
				paths = append(paths, one+up+"/"+target.marker())
			}
		}
	}
	return marker(paths...)
}

// A hierarchy that is there already, mounted once more in a mount namespace of its own.
func releaseAgent(Target) Outcome {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return refused(err)
	}
	place, err := privatePlace()
	if err != nil {
		return refused(err)
	}
	defer os.Remove(place)
	refusals := []error{errors.New("no control group of version 1")}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 || fields[1] == "" {
			continue
		}
		if err := unix.Mount("cgroup", place, "cgroup", 0, fields[1]); err != nil {
			refusals = append([]error{fmt.Errorf("%s: %w", fields[1], err)}, refusals...)
			continue
		}
		err := openAndClose(filepath.Join(place, "release_agent"), unix.O_WRONLY)
		unix.Unmount(place, unix.MNT_DETACH)
		if err != nil {
			return refused(fmt.Errorf("release_agent of %s: %w", fields[1], err))
		}
		return ofKernel(did("release_agent of %s, opened", fields[1]))
	}
	return refused(first(refusals))
}

// Where the worker's kernel answers, as it does the control: to open a device whose driver it has not would load a module, which
// stays. A sandbox is asked for all: the Sentry's lists are its own, and it loads nothing.
var careful = os.Getenv("CAREFUL") != ""

// loaded tells whether a device may be opened: where care is taken, one whose driver the kernel has already.
func loaded(kind uint32, major, minor uint32) bool {
	if !careful {
		return true
	}
	list, number := "/proc/devices", major
	if kind == unix.S_IFCHR && major == 10 {
		list, number = "/proc/misc", minor
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return true
	}
	characters, blocks, _ := bytes.Cut(text, []byte("Block devices:"))
	if kind == unix.S_IFBLK {
		characters = blocks
	}
	for line := range bytes.Lines(characters) {
		if fields := bytes.Fields(line); len(fields) == 2 && string(fields[0]) == strconv.Itoa(int(number)) {
			return true
		}
	}
	return false
}

// device opens a device node made here, for reading.
func device(kind uint32, numbers ...[2]uint32) func(Target) Outcome {
	return func(Target) Outcome {
		place, err := os.MkdirTemp("", "device")
		if err != nil {
			return refused(err)
		}
		defer os.RemoveAll(place)
		var refusals []error
		for _, number := range numbers {
			if !loaded(kind, number[0], number[1]) {
				refusals = append(refusals, fmt.Errorf("%d:%d has no driver, and is not to get one", number[0], number[1]))
				continue
			}
			path := filepath.Join(place, fmt.Sprintf("%d-%d", number[0], number[1]))
			if err := unix.Mknod(path, kind|0o600, int(unix.Mkdev(number[0], number[1]))); err != nil {
				refusals = append(refusals, fmt.Errorf("mknod %d:%d: %w", number[0], number[1], err))
				continue
			}
			if err := openAndClose(path, unix.O_RDONLY); err != nil {
				refusals = append(refusals, fmt.Errorf("open %d:%d: %w", number[0], number[1], err))
				continue
			}
			return did("%d:%d, opened", number[0], number[1])
		}
		return refused(first(refusals))
	}
}

// A node that is there already, on a file system of the worker, as one that an image brings. None of these does anything when
// it is opened; a watchdog would.
func givenDevice(names ...string) func(Target) Outcome {
	return func(Target) Outcome {
		var refusals []error
		for _, name := range names {
			path := filepath.Join(givenDevices, name)
			info, err := os.Lstat(path)
			// Links lead to devices of the pod's own.
			if err == nil && info.Mode()&os.ModeDevice == 0 {
				err = fmt.Errorf("%s: no device", path)
			}
			if err == nil {
				if stat, ok := info.Sys().(*syscall.Stat_t); ok && !loaded(stat.Mode&unix.S_IFMT, unix.Major(stat.Rdev), unix.Minor(stat.Rdev)) {
					err = fmt.Errorf("%s: no driver, and it is not to get one", path)
				}
			}
			if err == nil {
				if err = openAndClose(path, unix.O_RDONLY); err == nil {
					return did("%s, opened", path)
				}
				// What is there says more than what is not.
				refusals = append([]error{fmt.Errorf("%s: %w", path, err)}, refusals...)
				continue
			}
			refusals = append(refusals, err)
		}
		return refused(first(refusals))
	}
}
