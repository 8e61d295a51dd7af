package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// requested is one request of an open loop. It starts at its time, even when earlier requests still run.
type requested struct {
	at, took time.Duration
	post     bool
	failure  string
}

// requestsCommand sends requests at a fixed rate, and counts the failures and delays of clients. It never repeats a request.
func requestsCommand(set *flag.FlagSet) func() (any, error) {
	var to target
	to.flags(set)
	rate := set.Float64("rate", 50, "requests per second")
	seconds := set.Float64("seconds", 10, "duration in seconds")
	protocol := set.String("protocol", "h1", "h1 (kept connections), new (one connection for each request) or h2")
	method := set.String("method", "GET", "GET, POST, or MIX, which alternates both")
	path := set.String("path", "/?d=20", "path and query")
	name := set.String("name", "r", "prefix of the request ids")
	timeout := set.Duration("timeout", 30*time.Second, "the client's timeout for a request")
	return func() (any, error) {
		send, err := sender(to, *protocol, *timeout)
		if err != nil {
			return nil, err
		}
		count := int(*rate * *seconds)
		results := make([]requested, count)
		var all sync.WaitGroup
		start := time.Now()
		for i := range results {
			// Every request starts at a random moment of its interval. A fixed beat could match the order of the nodes, and send one node
			// all requests of one kind.
			due := time.Duration((float64(i) + rand.Float64()) / *rate * float64(time.Second))
			time.Sleep(due - time.Since(start))
			all.Add(1)
			go func() {
				defer all.Done()
				verb := *method
				if verb == "MIX" {
					verb = [...]string{"GET", "POST"}[i%2]
				}
				began := time.Now()
				failure := send(verb, fmt.Sprintf("%s&id=%s-%d", *path, *name, i))
				results[i] = requested{at: began.Sub(start), took: time.Since(began), post: verb == "POST", failure: failure}
			}()
		}
		all.Wait()
		return summary(results, start, time.Duration(float64(time.Second) / *rate)), nil
	}
}

// summary counts failures and delays. A request that fails, is turned away or takes over 0.3 s disturbs users. The disturbance lasts from the
// start of the first such request until one interval after the start of the last one. The time of the last failure is in milliseconds since
// 1970. A request that the server turned away is no failure and has its own count.
func summary(results []requested, start time.Time, interval time.Duration) map[string]any {
	var times []float64
	var failedGet, failedPost, slow, verySlow int
	var hang, longest time.Duration
	var lastFailure int64
	var disturbedFrom, disturbedTo time.Duration = -1, 0
	reasons := map[string]int{}
	for _, each := range results {
		times = append(times, milliseconds(each.took))
		longest = max(longest, each.took)
		if each.took > time.Second {
			slow++
			hang += each.took
		}
		if each.took > 10*time.Second {
			verySlow++
		}
		if each.failure != "" || each.took > 300*time.Millisecond {
			if disturbedFrom < 0 {
				disturbedFrom = each.at
			}
			disturbedTo = each.at + interval
		}
		if each.failure == "" {
			continue
		}
		reasons[each.failure]++
		if each.failure == turnedAway {
			continue
		}
		if each.post {
			failedPost++
		} else {
			failedGet++
		}
		lastFailure = start.Add(each.at).UnixMilli()
	}
	disturbed := 0.0
	if disturbedFrom >= 0 {
		disturbed = (disturbedTo - disturbedFrom).Seconds()
	}
	return map[string]any{
		"requests": len(results), "failedGet": failedGet, "failedPost": failedPost, "slow": slow, "verySlow": verySlow,
		"longest": longest.Seconds(), "hang": hang.Seconds(), "lastFailureAt": lastFailure,
		"turnedAway": reasons[turnedAway], "disturbed": disturbed, "p50": percentile(times, .5), "p99": percentile(times, .99), "p999": percentile(times, .999), "reasons": reasons,
	}
}

// sender returns a function that sends one request and returns the reason of a failure, or "".
func sender(to target, protocol string, timeout time.Duration) (func(method, path string) string, error) {
	switch protocol {
	case "h1", "new":
		pool := &pool{to: to, timeout: timeout, keep: protocol == "h1", idle: make(chan *connection, 1024)}
		return pool.send, nil
	case "h2":
		return (&shared{to: to, timeout: timeout}).send, nil
	}
	return nil, fmt.Errorf("--protocol is %q; h1, new or h2 is expected", protocol)
}

// pool keeps HTTP/1.1 connections as a browser does, but never sends a request twice. net/http would repeat lost requests and so hide them.
type pool struct {
	to      target
	timeout time.Duration
	keep    bool
	idle    chan *connection
}

type connection struct {
	*tls.Conn
	reader *bufio.Reader
	// arrived gets nil when the next answer begins, or an error when the server closed the connection. A new connection has no channel.
	arrived chan error
	closed  atomic.Bool
}

// watch notices that the server closes an idle connection, as every client does.
func (c *connection) watch() {
	c.SetDeadline(time.Time{})
	arrived := make(chan error, 1)
	c.arrived = arrived
	go func() {
		_, err := c.reader.Peek(1)
		c.closed.Store(err != nil)
		arrived <- err
	}()
}

// take returns a kept connection that is still open, or a new one.
func (p *pool) take() (*connection, error) {
	for {
		select {
		case c := <-p.idle:
			if !c.closed.Load() {
				return c, nil
			}
			c.Close()
		default:
			dialled, err := p.to.dial(p.timeout, p.to.tls("http/1.1"))
			if err != nil {
				return nil, err
			}
			return &connection{Conn: dialled, reader: bufio.NewReader(dialled)}, nil
		}
	}
}

func (p *pool) send(method, path string) string {
	deadline := time.Now().Add(p.timeout)
	c, err := p.take()
	if err != nil {
		return reason(err)
	}
	c.SetDeadline(deadline)
	content := ""
	if method == http.MethodPost {
		content = "hello"
	}
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", method, path, p.to.host, len(content), content)
	if c.arrived != nil {
		err = <-c.arrived
	}
	var answer *http.Response
	if err == nil {
		answer, err = http.ReadResponse(c.reader, nil)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
	}
	if err != nil {
		c.Close()
		return reason(err)
	}
	if !p.keep || answer.Close {
		c.Close()
	} else {
		c.watch()
		select {
		case p.idle <- c:
		default:
			c.Close()
		}
	}
	return status(answer)
}

// shared is the one HTTP/2 connection that a browser keeps. Requests wait while the connection is full. The next request after its end
// opens another one. shared never sends a request twice, because net/http would hide requests that the server turns away at the end of a
// connection.
type shared struct {
	to      target
	timeout time.Duration
	lock    sync.Mutex
	current *http2.ClientConn
}

func (s *shared) take() (*http2.ClientConn, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.current != nil && s.current.CanTakeNewRequest() {
		return s.current, nil
	}
	dialled, err := s.to.dial(s.timeout, s.to.tls("h2"))
	if err != nil {
		return nil, err
	}
	s.current, err = (&http2.Transport{StrictMaxConcurrentStreams: true}).NewClientConn(dialled)
	return s.current, err
}

// notSent is the error for a request that still waited for its turn when the connection ended.
const notSent = "http2: client conn not usable"

func (s *shared) send(method, path string) string {
	ctx, cancel := context.WithTimeout(background, s.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "https://"+s.to.host+path, strings.NewReader("hello"))
	if err != nil {
		return err.Error()
	}
	var answer *http.Response
	for answer == nil {
		connection, err := s.take()
		if err != nil {
			return reason(err)
		}
		answer, err = connection.RoundTrip(request)
		if err != nil && err.Error() != notSent {
			return reason(err)
		}
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return reason(err)
	}
	return status(answer)
}

func status(answer *http.Response) string {
	if answer.StatusCode == http.StatusOK {
		return ""
	}
	return fmt.Sprint(answer.StatusCode)
}

const turnedAway = "turned away"

// reason returns a short reason without addresses, so that equal failures are counted together.
func reason(err error) string {
	var network net.Error
	var stream http2.StreamError
	switch {
	// The server reported that it did not begin with the request (RFC 9113, 6.8 and 8.7). A client may safely repeat the request.
	case strings.Contains(err.Error(), "graceful shutdown GOAWAY"), errors.As(err, &stream) && stream.Code == http2.ErrCodeRefusedStream:
		return turnedAway
	case errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	}
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+1:]
}
