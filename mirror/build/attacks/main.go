// Command attacks tries what a container must not be able to do, and says what came of it. It runs in a sandboxed pod and in
// a control pod of the default runtime, both with the same rights; see docs/explanation.md, "Attacks that must fail".
//
// An attempt is a row of corpus.json and a function of that name here. Each is harmless where it succeeds: it opens without
// writing, reads a few bytes, makes what it takes away at once, or gives the kernel arguments that it refuses after it has
// looked at the caller's rights. What enters a namespace, mounts or traces runs in a process of its own, which takes that with it.
//
// usage: attacks RUN ENGINE          all of them; prints [Outcome] as JSON
//
//	attacks RUN ENGINE NAME     one of them, in this process
//
// It also measures what a sandbox keeps from a process, and what it costs; see docs/explanation.md, "Surface, and what it costs":
//
//	attacks filters [-machine PID] PID...   what is left by the seccomp filters of processes
//	attacks measure ADDRESS:PORT            what takes how long here, with the server there
//	attacks serve ADDRESS:PORT              that server
//
// With CAREFUL in the environment nothing is asked for that would load a module of the kernel.
//
// RUN names the decoys that the worker has laid out (scripts/on-machine/probe/decoys.sh), ENGINE is the container engine's socket as the
// worker sees it.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"mirror/attacks/surface"
)

// Longest time for one attempt.
const limit = 20 * time.Second

//go:embed corpus.json
var corpus []byte

// Row is an entry of corpus.json, as far as it matters here.
type Row struct {
	Name string `json:"name"`
}

// Proof is what an attempt has read where only the worker knows what is right: inside a sandbox there is a /proc, a log and a
// file system too, and only the worker can tell whose they are.
type Proof struct {
	// Of is "marker" (the secret of the decoys) or "kernel" (/proc/version beside the file that was opened).
	Of string `json:"of"`
	// Value is what was read.
	Value string `json:"value"`
}

// Outcome is what came of an attempt.
type Outcome struct {
	Name string `json:"name"`
	// Did tells whether the kernel that answers let it happen. With a Proof, whether that is the worker's is for others to say.
	Did bool `json:"did"`
	// Unanswered: it took too long, or was killed from outside, so nobody knows.
	Unanswered bool `json:"unanswered,omitempty"`
	// Saw is an error, or what was reached, in a few words.
	Saw   string `json:"saw"`
	Proof *Proof `json:"proof,omitempty"`
}

// Target is what an attempt may know about where it runs.
type Target struct {
	run, engine string
}

type attempt struct {
	// A process of its own, in new namespaces where it names some. To start one takes a sandbox much longer than most attempts.
	apart      bool
	namespaces uintptr
	try        func(Target) Outcome
}

func refused(err error) Outcome { return Outcome{Saw: err.Error()} }

func did(format string, args ...any) Outcome {
	return Outcome{Did: true, Saw: fmt.Sprintf(format, args...)}
}

// How a system call ends whose arguments are wrong on purpose: some errors come after the look at the caller's rights only.
func didIf(err error, after ...error) Outcome {
	for _, one := range after {
		if errors.Is(err, one) {
			return did("allowed: %v", err)
		}
	}
	if err == nil {
		return did("it went through")
	}
	return refused(err)
}

func main() {
	if len(os.Args) > 1 && surface.Commands[os.Args[1]] != nil {
		said, err := surface.Commands[os.Args[1]](os.Args[2:])
		if err != nil {
			fmt.Fprintln(os.Stderr, "attacks:", err)
			os.Exit(1)
		}
		print(said)
		return
	}
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: attacks RUN ENGINE [NAME]")
		os.Exit(2)
	}
	target := Target{run: os.Args[1], engine: os.Args[2]}
	if len(os.Args) > 3 {
		// Namespaces and traces belong to a thread.
		runtime.LockOSThread()
		print(attempts[os.Args[3]].try(target))
		return
	}
	var rows []Row
	if err := json.Unmarshal(corpus, &rows); err != nil {
		fmt.Fprintln(os.Stderr, "attacks: corpus.json:", err)
		os.Exit(1)
	}
	outcomes := make([]Outcome, len(rows))
	var all sync.WaitGroup
	for index, row := range rows {
		all.Add(1)
		go func() {
			defer all.Done()
			outcomes[index] = inTime(func() Outcome {
				one := attempts[row.Name]
				if one.apart {
					return inProcess(row.Name, one.namespaces)
				}
				return one.try(target)
			})
			outcomes[index].Name = row.Name
			// What does not change from run to run is easier to compare.
			outcomes[index].Saw = strings.NewReplacer("-"+target.run, "", up, "/..…").Replace(outcomes[index].Saw)
		}()
	}
	all.Wait()
	print(outcomes)
}

// inTime waits for an attempt. One that takes too long is not waited for any more, and ends with this process.
func inTime(try func() Outcome) Outcome {
	done := make(chan Outcome, 1)
	go func() { done <- try() }()
	select {
	case outcome := <-done:
		return outcome
	case <-time.After(limit):
		return Outcome{Unanswered: true, Saw: fmt.Sprintf("no answer in %v", limit)}
	}
}

func print(value any) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		fmt.Fprintln(os.Stderr, "attacks:", err)
		os.Exit(1)
	}
}

// inProcess runs an attempt in a process of its own. One that is ended for what it tries, or cannot be started so, was not let
// through; one that takes too long, or that was killed as if memory were short, is not answered.
func inProcess(name string, namespaces uintptr) Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	child := exec.CommandContext(ctx, "/proc/self/exe", append(slices.Clone(os.Args[1:3]), name)...)
	child.WaitDelay = time.Second
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if namespaces&syscall.CLONE_NEWUSER != 0 {
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	var said, complaint bytes.Buffer
	child.Stdout, child.Stderr = &said, &complaint
	err := child.Run()
	var outcome Outcome
	if json.Unmarshal(said.Bytes(), &outcome) != nil {
		first, _, _ := bytes.Cut(complaint.Bytes(), []byte("\n"))
		return Outcome{
			Unanswered: ctx.Err() != nil || killed(err) || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM),
			Saw:        fmt.Sprintf("ended without an answer: %v %s", err, first),
		}
	}
	return outcome
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
