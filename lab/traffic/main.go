// traffic runs both ends of the load on a load balancer: clients that count failures, and upstream nodes that fail on request. Every
// subcommand of a client is bounded in count and time, and prints its result as a JSON object.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"sort"
	"time"
)

// target is the address and the name to which every client connects.
type target struct {
	address, host string
}

func (t *target) flags(set *flag.FlagSet) {
	set.StringVar(&t.address, "address", "", "host:port that is dialled")
	set.StringVar(&t.host, "host", "rancher.lab.internal", "name of the requested host")
}

// tls returns a configuration that verifies no certificate, because measurements are about the load balancer and not the client.
func (t *target) tls(protocols ...string) *tls.Config {
	return &tls.Config{ServerName: t.host, InsecureSkipVerify: true, NextProtos: protocols}
}

func (t *target) dial(timeout time.Duration, config *tls.Config) (*tls.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: timeout}, "tcp", t.address, config)
}

func main() {
	commands := map[string]func(set *flag.FlagSet) func() (any, error){
		"upstream":   upstreamCommand,
		"requests":   requestsCommand,
		"handshakes": handshakesCommand,
		"websockets": websocketsCommand,
		"tunnels":    tunnelsCommand,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "expected one of upstream, requests, handshakes, websockets, tunnels")
		os.Exit(2)
	}
	set := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	run := commands[os.Args[1]](set)
	set.Parse(os.Args[2:])
	result, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

// percentile returns a percentile of times in milliseconds.
func percentile(times []float64, share float64) float64 {
	if len(times) == 0 {
		return 0
	}
	sort.Float64s(times)
	return times[min(len(times)-1, int(share*float64(len(times))))]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
