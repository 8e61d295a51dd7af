package main

import (
	"bufio"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// handshakesCommand opens one connection after the other in every client. A connection ends after its handshake and one GET, or with
// `alone` after its handshake.
func handshakesCommand(set *flag.FlagSet) func() (any, error) {
	var to target
	to.flags(set)
	seconds := set.Float64("seconds", 4, "duration in seconds")
	clients := set.Int("clients", 16, "number of clients at the same time")
	resumed := set.Bool("resumed", false, "resume the session of the first connection")
	alone := set.Bool("alone", false, "close the connection without a GET")
	version := set.String("tls", "1.3", "TLS version: 1.2 or 1.3")
	return func() (any, error) {
		end := time.Now().Add(time.Duration(*seconds * float64(time.Second)))
		var lock sync.Mutex
		var all sync.WaitGroup
		var times []float64
		var reused, failed int
		for range *clients {
			all.Add(1)
			go func() {
				defer all.Done()
				config := to.tls("http/1.1")
				config.MaxVersion = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[*version]
				config.MinVersion = config.MaxVersion
				if *resumed {
					config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
				}
				for time.Now().Before(end) {
					began := time.Now()
					c, err := to.dial(10*time.Second, config)
					took := time.Since(began)
					if err == nil && *alone {
						c.Close()
					} else if err == nil {
						fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", to.host)
						var answer *http.Response
						if answer, err = http.ReadResponse(bufio.NewReader(c), nil); err == nil {
							_, err = io.Copy(io.Discard, answer.Body)
						}
						c.Close()
					}
					lock.Lock()
					if err != nil {
						failed++
					} else {
						times = append(times, milliseconds(took))
						if c.ConnectionState().DidResume {
							reused++
						}
					}
					lock.Unlock()
				}
			}()
		}
		all.Wait()
		return map[string]any{"connections": len(times), "reused": reused, "failed": failed, "seconds": *seconds,
			"p50": percentile(times, .5), "p99": percentile(times, .99)}, nil
	}
}
