package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// listening starts a listener on this host; what it prints comes line by line.
func listening(t *testing.T, count int) (Ports, *json.Decoder) {
	t.Helper()
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(listen(count, "127.0.0.1", json.NewEncoder(writer))) }()
	lines := json.NewDecoder(bufio.NewReader(reader))
	var ports Ports
	if err := lines.Decode(&ports); err != nil {
		t.Fatal(err)
	}
	return ports, lines
}

func at(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func one(t *testing.T, target Target) Outcome {
	t.Helper()
	outcomes := tryAll([]Target{target})
	if len(outcomes) != 1 || outcomes[0].ID != target.ID {
		t.Fatalf("%+v", outcomes)
	}
	return outcomes[0]
}

func TestAWordIsHeard(t *testing.T) {
	ports, lines := listening(t, 2)
	if len(ports.Ports) != 2 || ports.Ports[0] == ports.Ports[1] {
		t.Fatalf("%+v", ports)
	}
	said := make(chan []Outcome)
	go func() {
		said <- tryAll([]Target{
			{ID: "a", Address: at(ports.Ports[0]), Speak: "word", Say: "first"},
			{ID: "b", Address: at(ports.Ports[1]), Speak: "word", Say: "second"},
		})
	}()
	heard := map[string]bool{}
	for range 2 {
		var line Heard
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		heard[line.Word] = strings.HasPrefix(line.From, "127.0.0.1:")
	}
	if !heard["first"] || !heard["second"] {
		t.Errorf("heard %v", heard)
	}
	for _, outcome := range <-said {
		if !outcome.Reached || outcome.Saw != "heard" {
			t.Errorf("%+v", outcome)
		}
	}
	if outcome := one(t, Target{ID: "tcp", Address: at(ports.Ports[0]), Speak: "tcp"}); !outcome.Reached || outcome.Saw != "connected" {
		t.Errorf("%+v", outcome)
	}
}

func TestNobodyThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	for _, speak := range []string{"word", "tcp", "http", "https"} {
		outcome := one(t, Target{ID: speak, Address: address, Speak: speak, Say: "/"})
		if outcome.Reached || outcome.Saw != "connection refused" {
			t.Errorf("%+v", outcome)
		}
	}
}

func TestAnAnswerOfTheWeb(t *testing.T) {
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	plain, secure := httptest.NewServer(refuse), httptest.NewTLSServer(refuse)
	defer plain.Close()
	defer secure.Close()
	for speak, server := range map[string]*httptest.Server{"http": plain, "https": secure} {
		outcome := one(t, Target{ID: speak, Address: server.Listener.Addr().String(), Speak: speak, Say: "/pods"})
		if !outcome.Reached || outcome.Saw != "HTTP 401 Unauthorized" {
			t.Errorf("%+v", outcome)
		}
	}
	// This host is no pod.
	outcome := one(t, Target{ID: "token", Address: secure.Listener.Addr().String(), Speak: "token", Say: "/"})
	if outcome.Reached || outcome.Saw != "the pod has no token" {
		t.Errorf("%+v", outcome)
	}
}

func TestAnAnswerOfDNS(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		message := make([]byte, 512)
		for {
			read, from, err := server.ReadFrom(message)
			if err != nil {
				return
			}
			// A reply, of which the code is "no such name".
			message[2], message[3] = message[2]|0x80, 0x83
			server.WriteTo(message[:read], from)
		}
	}()
	target := Target{ID: "dns", Address: server.LocalAddr().String(), Speak: "dns", Say: "nowhere.invalid."}
	if outcome := one(t, target); !outcome.Reached || outcome.Saw != "no such name" {
		t.Errorf("%+v", outcome)
	}
	server.Close()
	if outcome := one(t, target); outcome.Reached || outcome.Saw == "" {
		t.Errorf("%+v", outcome)
	}
}
