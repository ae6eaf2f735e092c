package surface

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Where Serve listens where no other pod is reached.
	beside = "127.0.0.1:7077"
	// Bytes of a question, and its answer.
	question = 64
	// Longest time that a server may take to be there, and to answer.
	toConnect = time.Second
	toAnswer  = 2 * time.Second
	// Longest time, and most, that is sent in one round.
	round     = 50 * time.Millisecond
	roundSize = 256 << 20
	// What a client begins with: whether its server answers, or only reads.
	answers, reads = 'a', 'r'
)

// Serve answers clients for some time.
func Serve(at string, life time.Duration) error {
	socket, address, err := socketFor(at)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(socket, address); err != nil {
		return err
	}
	if err := unix.Listen(socket, 16); err != nil {
		return err
	}
	go func() {
		for {
			client, _, err := unix.Accept4(socket, unix.SOCK_CLOEXEC)
			if err == nil {
				go serve(client)
			}
		}
	}()
	time.Sleep(life)
	return nil
}

func serve(client int) {
	defer unix.Close(client)
	unix.SetsockoptInt(client, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	buffer := make([]byte, piece)
	receive := func(buffer []byte) int {
		count, err := again(func() (int, error) { return unix.Read(client, buffer) })
		if err != nil {
			return 0
		}
		return count
	}
	if receive(buffer[:1]) == 0 {
		return
	}
	answering := buffer[0] == answers
	for {
		count := receive(buffer)
		if count == 0 || answering && sent(client, buffer[:count]) != nil {
			return
		}
	}
}

func socketFor(at string) (int, unix.Sockaddr, error) {
	place, err := netip.ParseAddrPort(at)
	if err != nil {
		return 0, nil, err
	}
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(place.Port()), Addr: place.Addr().As16()})
	if place.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(place.Port()), Addr: place.Addr().As4()}
	}
	socket, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	return socket, address, err
}

// connected opens a connection to a server that may be about to start.
func connected(to string, kind byte) (int, error) {
	for deadline := time.Now().Add(toConnect); ; time.Sleep(20 * time.Millisecond) {
		socket, err := attempt(to)
		if err == nil {
			if err = sent(socket, []byte{kind}); err == nil {
				return socket, nil
			}
			unix.Close(socket)
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("no connection to %s: %w", to, err)
		}
	}
}

func attempt(to string) (int, error) {
	socket, address, err := socketFor(to)
	if err != nil {
		return 0, err
	}
	unix.SetsockoptInt(socket, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	connecting, answering := unix.NsecToTimeval(toConnect.Nanoseconds()), unix.NsecToTimeval(toAnswer.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &connecting),
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &answering),
		unix.Connect(socket, address),
	)
	if err != nil {
		unix.Close(socket)
		return 0, err
	}
	return socket, nil
}

// chosen is the peer, or a server that is started here where that is not reached.
func chosen(peer string) (server string, isPeer bool) {
	if socket, err := connected(peer, reads); err == nil {
		unix.Close(socket)
		return peer, true
	}
	go Serve(beside, limit)
	return beside, false
}

// MiB a second to a server, until that has read all of it.
func throughput(to string) (float64, error) {
	content, buffer := make([]byte, piece), make([]byte, 1)
	return median(func() (float64, error) {
		socket, err := connected(to, reads)
		if err != nil {
			return 0, err
		}
		defer unix.Close(socket)
		start, bytes := time.Now(), 0
		for time.Since(start) < round && bytes < roundSize {
			if err := sent(socket, content); err != nil {
				return 0, err
			}
			bytes += len(content)
		}
		if err := unix.Shutdown(socket, unix.SHUT_WR); err != nil {
			return 0, err
		}
		// It closes once it has all.
		if _, err := again(func() (int, error) { return unix.Read(socket, buffer) }); err != nil {
			return 0, err
		}
		return mebibytes(start, bytes), nil
	})
}

// Microseconds from a question to its answer, on a connection that is open.
func latency(to string) (float64, error) {
	socket, err := connected(to, answers)
	if err != nil {
		return 0, err
	}
	defer unix.Close(socket)
	asked, answer := make([]byte, question), make([]byte, question)
	return median(func() (float64, error) {
		start := time.Now()
		if err := sent(socket, asked); err != nil {
			return 0, err
		}
		for have := 0; have < question; {
			count, err := again(func() (int, error) { return unix.Read(socket, answer[have:]) })
			if err == nil && count == 0 {
				err = errors.New("the server has closed the connection")
			}
			if err != nil {
				return 0, err
			}
			have += count
		}
		return perCall(start, 1) / 1000, nil
	})
}
