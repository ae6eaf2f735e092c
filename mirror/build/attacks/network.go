package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// A ring of version 3 on a packet socket; the Sentry's own have versions 1 and 2.
func packetRing(Target) Outcome {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return refused(err)
	}
	return did("a packet socket of TPACKET_V3")
}

// The Sentry's own TCP leaves the sizes of segments in this answer empty; a kernel's fills them.
func kernelTCP(Target) Outcome {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return refused(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return refused(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return refused(err)
	}
	var info *unix.TCPInfo
	var failure error
	if err := raw.Control(func(fd uintptr) {
		info, failure = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || failure != nil {
		return refused(errors.Join(err, failure))
	}
	if info.Snd_mss == 0 || info.Rcv_mss == 0 || info.Advmss == 0 {
		return refused(errors.New("a TCP that does not say how large its segments are"))
	}
	return did("the TCP of a kernel")
}

// A family that a kernel has not is asked for by nobody: see registered. Its own sockets are in the list, that of NETLINK_ROUTE in
// any case.
func hasNetlink(family int) bool {
	text, err := os.ReadFile("/proc/net/netlink")
	if err != nil {
		return true
	}
	families := map[string]bool{}
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) > 1 {
			families[string(fields[1])] = true
		}
	}
	return !families["0"] || families[strconv.Itoa(family)]
}

func netlink(family int) Outcome {
	if !hasNetlink(family) {
		return refused(fmt.Errorf("netlink family %d is not loaded, and is not to be", family))
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, family)
	if err != nil {
		return refused(err)
	}
	unix.Close(fd)
	return did("a socket")
}

func netlinkAudit(Target) Outcome { return netlink(unix.NETLINK_AUDIT) }

func netlinkSockDiag(Target) Outcome { return netlink(unix.NETLINK_SOCK_DIAG) }

// registered tells whether a kernel has a protocol already: asking for one that it has not would load its module, which stays.
// The Sentry's list is empty, and it loads nothing.
func registered(protocol string) bool {
	text, err := os.ReadFile("/proc/net/protocols")
	return err != nil || !bytes.Contains(text, []byte("\nUNIX ")) || bytes.Contains(text, []byte("\n"+protocol+" "))
}

// rareSocket asks for a family that a kernel need not have loaded.
func rareSocket(protocol string, family, kind int) func(Target) Outcome {
	return func(Target) Outcome {
		if !registered(protocol) {
			return refused(fmt.Errorf("%s is not loaded, and is not to be", protocol))
		}
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return refused(err)
		}
		unix.Close(fd)
		return did("a socket of %s", protocol)
	}
}

// connect connects to a Unix socket, says nothing, and leaves.
func connect(path string) Outcome {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return refused(fmt.Errorf("%s: %w", path, err))
	}
	return did("%s, connected", path)
}

func engineSocket(Target) Outcome { return connect(filepath.Join(given, "engine.sock")) }

func engineSocketThroughRoot(target Target) Outcome {
	return connect(filepath.Join("/proc/1/root", target.engine))
}

// Sockets without a file belong to a network namespace: containerd's shims once had theirs there.
func shimSocket(Target) Outcome {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return refused(err)
	}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		name := string(fields[len(fields)-1])
		if bytes.Contains([]byte(name), []byte("containerd-shim")) && name[0] == '@' {
			return connect(name)
		}
	}
	return refused(errors.New("no socket of a shim in this network namespace"))
}
