package main

import (
	"bufio"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"time"
)

// Longest word that is taken from whoever connects.
const longestWord = 64

// Ports that are listened at.
type Ports struct {
	Ports []int `json:"ports"`
}

// Heard is what somebody has said at a port.
type Heard struct {
	Word string `json:"word"`
	From string `json:"from"`
}

// listen opens ports and notes each word that is said there, until it is ended.
func listen(count int, address string, out *json.Encoder) error {
	var ports Ports
	var listeners []net.Listener
	for range count {
		listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			return err
		}
		listeners = append(listeners, listener)
		ports.Ports = append(ports.Ports, listener.Addr().(*net.TCPAddr).Port)
	}
	if err := out.Encode(ports); err != nil {
		return err
	}
	var one sync.Mutex
	failed := make(chan error)
	for _, listener := range listeners {
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					failed <- err
					return
				}
				go func() {
					defer connection.Close()
					connection.SetDeadline(time.Now().Add(limit))
					word := make([]byte, longestWord)
					read, _ := bufio.NewReaderSize(connection, longestWord).Read(word)
					one.Lock()
					defer one.Unlock()
					if out.Encode(Heard{strings.TrimSpace(string(word[:read])), connection.RemoteAddr().String()}) == nil {
						connection.Write([]byte("heard\n"))
					}
				}()
			}
		}()
	}
	return <-failed
}
