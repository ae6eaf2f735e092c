// Package surface measures what a sandbox keeps of the host's kernel from a process, and what that costs.
package surface

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Time for a cost, most rounds in that time, and time for all of them: what has no answer by then has none.
	window = 250 * time.Millisecond
	rounds = 200
	limit  = 4 * time.Second

	calls      = 100
	smallFiles = 100
	smallSize  = 4 << 10
	written    = 8 << 20
	piece      = 64 << 10
)

// Cost is what something has taken, in the median of its rounds.
type Cost struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	// Failed says why it is not known.
	Failed string `json:"failed,omitempty"`
}

// Costs is what was measured in a pod.
type Costs struct {
	// Peer tells whether TCP went to the other pod that was named. If that was not reached, it is to a server beside this process.
	Peer  bool   `json:"peer"`
	Costs []Cost `json:"costs"`
}

// Measure takes about one second.
//
// peer is where Serve listens in another pod, ADDRESS:PORT.
func Measure(peer string) Costs {
	server, isPeer := chosen(peer)
	measured := []struct {
		name string
		take func() (float64, error)
	}{
		{"systemCall", systemCall},
		{"openRead", openRead},
		{"write", write},
		{"tcpThroughput", func() (float64, error) { return throughput(server) }},
		{"tcpLatency", func() (float64, error) { return latency(server) }},
	}
	var lock sync.Mutex
	found := Costs{Peer: isPeer}
	for _, one := range measured {
		found.Costs = append(found.Costs, Cost{Name: one.name, Failed: fmt.Sprintf("no answer in %v", limit)})
	}
	done := make(chan bool, 1)
	go func() {
		for index, one := range measured {
			cost := Cost{Name: one.name}
			var err error
			if cost.Value, err = one.take(); err != nil {
				cost = Cost{Name: one.name, Failed: err.Error()}
			}
			lock.Lock()
			found.Costs[index] = cost
			lock.Unlock()
		}
		done <- true
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
	lock.Lock()
	defer lock.Unlock()
	return Costs{Peer: isPeer, Costs: slices.Clone(found.Costs)}
}

// median runs rounds, at least three, until their time is over.
func median(round func() (float64, error)) (float64, error) {
	var values []float64
	for end := time.Now().Add(window); len(values) < 3 || len(values) < rounds && time.Now().Before(end); {
		value, err := round()
		if err != nil {
			return 0, err
		}
		values = append(values, value)
	}
	slices.Sort(values)
	return values[len(values)/2], nil
}

// perCall is nanoseconds since a start, for each of some.
func perCall(start time.Time, count int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(count)
}

// mebibytes per second since a start.
func mebibytes(start time.Time, bytes int) float64 {
	return float64(bytes) / (1 << 20) / time.Since(start).Seconds()
}

// Nanoseconds for a call that asks the kernel and does nothing there.
func systemCall() (float64, error) {
	return median(func() (float64, error) {
		start := time.Now()
		for range calls {
			unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
		return perCall(start, calls), nil
	})
}

// Microseconds to open, read and close one of some small files.
func openRead() (float64, error) {
	place, err := os.MkdirTemp("", "surface")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(place)
	paths := make([]string, smallFiles)
	for index := range paths {
		paths[index] = filepath.Join(place, fmt.Sprint(index))
		if err := os.WriteFile(paths[index], make([]byte, smallSize), 0o600); err != nil {
			return 0, err
		}
	}
	buffer := make([]byte, smallSize)
	return median(func() (float64, error) {
		start := time.Now()
		for _, path := range paths {
			file, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return 0, err
			}
			_, err = again(func() (int, error) { return unix.Read(file, buffer) })
			unix.Close(file)
			if err != nil {
				return 0, err
			}
		}
		return perCall(start, smallFiles) / 1000, nil
	})
}

// MiB a second into a new file, which is not made to reach the disk.
func write() (float64, error) {
	place, err := os.MkdirTemp("", "surface")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(place)
	content := make([]byte, piece)
	return median(func() (float64, error) {
		path := filepath.Join(place, "written")
		file, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return 0, err
		}
		defer os.Remove(path)
		defer unix.Close(file)
		start := time.Now()
		for done := 0; done < written; done += piece {
			if err := sent(file, content); err != nil {
				return 0, err
			}
		}
		return mebibytes(start, written), nil
	})
}

// sent writes all of it.
func sent(file int, content []byte) error {
	for len(content) > 0 {
		count, err := again(func() (int, error) { return unix.Write(file, content) })
		if err != nil {
			return err
		}
		content = content[count:]
	}
	return nil
}

// again makes a call until no signal cuts it off: Go's runtime sends some.
func again(call func() (int, error)) (int, error) {
	for {
		count, err := call()
		if err != unix.EINTR {
			return count, err
		}
	}
}
