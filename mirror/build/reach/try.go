package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Longest time for one target: one that is dropped on the way gives no answer at all.
const limit = 3 * time.Second

// Where kubelet puts a pod's token, and the certificate that the API server is known by.
const account = "/var/run/secrets/kubernetes.io/serviceaccount"

// Target is what a pod is to reach. All that is listened at by this program is asked for in the same way, so that nothing tells a
// pod which of them it is allowed to reach.
type Target struct {
	ID string `json:"id"`
	// Address is HOST:PORT.
	Address string `json:"address"`
	// Speak is "word", "tcp" (which says nothing), "http", "https", "token" (https with the pod's token) or "dns".
	Speak string `json:"speak"`
	// Say is the word; or the path that is asked for; or the name.
	Say string `json:"say"`
}

// Outcome is what came of it.
type Outcome struct {
	ID string `json:"id"`
	// Reached: the address has taken the connection; of "dns", it has answered.
	Reached bool `json:"reached"`
	// Saw is an error, or an answer, in a few words.
	Saw string `json:"saw"`
}

func (t Target) try() Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	outcome := Outcome{ID: t.ID}
	dialed := func(ctx context.Context, network, _ string) (net.Conn, error) {
		connection, err := (&net.Dialer{}).DialContext(ctx, network, t.Address)
		// A datagram's socket is connected to nobody.
		outcome.Reached = outcome.Reached || err == nil && strings.HasPrefix(network, "tcp")
		return connection, err
	}
	var err error
	switch t.Speak {
	case "word":
		outcome.Saw, err = t.word(ctx, dialed)
	case "tcp":
		outcome.Saw, err = "connected", t.connect(ctx, dialed)
	case "http", "https", "token":
		outcome.Saw, err = t.web(ctx, dialed)
	case "dns":
		outcome.Saw, err = t.name(ctx, dialed)
		outcome.Reached = err == nil
	default:
		err = fmt.Errorf("%q is no way to speak", t.Speak)
	}
	if err != nil {
		outcome.Saw = plain(err)
	}
	return outcome
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

func (t Target) word(ctx context.Context, dialed dial) (string, error) {
	connection, err := dialed(ctx, "tcp", "")
	if err != nil {
		return "", err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(limit))
	if _, err := io.WriteString(connection, t.Say+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(connection, longestWord))
	if len(answer) == 0 && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimSpace(string(answer)), err
}

func (t Target) connect(ctx context.Context, dialed dial) error {
	connection, err := dialed(ctx, "tcp", "")
	if err == nil {
		connection.Close()
	}
	return err
}

func (t Target) web(ctx context.Context, dialed dial) (string, error) {
	scheme, security := "https", &tls.Config{InsecureSkipVerify: true}
	if t.Speak == "http" {
		scheme = "http"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+t.Address+t.Say, nil)
	if err != nil {
		return "", err
	}
	if t.Speak == "token" {
		token, err := os.ReadFile(filepath.Join(account, "token"))
		if err != nil {
			return "", errors.New("the pod has no token")
		}
		// Nobody else is to get it.
		authorities, err := os.ReadFile(filepath.Join(account, "ca.crt"))
		if err != nil {
			return "", err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(authorities)
		security = &tls.Config{RootCAs: roots}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	client := &http.Client{
		Transport:     &http.Transport{DialContext: dialed, TLSClientConfig: security, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	response.Body.Close()
	return "HTTP " + response.Status, nil
}

// Any answer counts, also one that knows no such name.
func (t Target) name(ctx context.Context, dialed dial) (string, error) {
	resolver := net.Resolver{PreferGo: true, Dial: dialed}
	found, err := resolver.LookupHost(ctx, t.Say)
	var failure *net.DNSError
	if errors.As(err, &failure) && failure.IsNotFound {
		return "no such name", nil
	}
	return strings.Join(found, ", "), err
}

// plain is an error without what changes from run to run, and without the addresses, which stand beside it.
func plain(err error) string {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return "no answer"
	}
	text := err.Error()
	return strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:])
}
