package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rancher/remotedialer"
)

// tunnels records which of a number of tunnels are connected, and how long lost ones were away.
type tunnels struct {
	lock      sync.Mutex
	connected map[int]bool
	lostAt    map[int]time.Time
	// away holds the seconds until the return of each lost tunnel.
	away []float64
	lost int
}

// tunnelsCommand keeps tunnels until standard input has a line, as Rancher's cluster agents do. It uses their client library and their
// pauses between tries: 5 s in the library and 5 s in the agent. It reports the number of lost tunnels and the time until their return.
func tunnelsCommand(set *flag.FlagSet) func() (any, error) {
	var to target
	to.flags(set)
	count := set.Int("count", 50, "number of tunnels")
	limit := set.Duration("limit", 5*time.Minute, "duration after which the command ends without a line on standard input")
	return func() (any, error) {
		all := &tunnels{connected: map[int]bool{}, lostAt: map[int]time.Time{}}
		for i := range *count {
			go all.keep(i, to)
		}
		all.wait(*count, 30*time.Second)
		fmt.Printf("{\"opened\":%d}\n", all.now())
		waitForLine(*limit)
		all.wait(*count, 2*time.Minute)
		return all.report(), nil
	}
}

// keep connects one tunnel again whenever its connection ends.
func (t *tunnels) keep(i int, to target) {
	dialer := &websocket.Dialer{
		HandshakeTimeout: remotedialer.HandshakeTimeOut, TLSClientConfig: to.tls("http/1.1"),
		NetDial: func(network, _ string) (net.Conn, error) { return net.DialTimeout(network, to.address, 10*time.Second) },
	}
	headers := http.Header{"X-Agent": {fmt.Sprint("agent-", i)}}
	refuse := func(string, string) bool { return false }
	onConnect := func(session context.Context, _ *remotedialer.Session) error {
		t.opened(i)
		<-session.Done()
		t.ended(i)
		return nil
	}
	for {
		remotedialer.ClientConnect(background, "wss://"+to.host+"/v3/connect", headers, dialer, refuse, onConnect)
		time.Sleep(5 * time.Second)
	}
}

// opened records that a tunnel is connected, and how long a lost one was away.
func (t *tunnels) opened(i int) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.connected[i] = true
	if lostAt, wasLost := t.lostAt[i]; wasLost {
		t.away = append(t.away, time.Since(lostAt).Seconds())
	}
}

// ended records the loss of a tunnel.
func (t *tunnels) ended(i int) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.connected[i] = false
	t.lost++
	t.lostAt[i] = time.Now()
}

// now returns the number of connected tunnels.
func (t *tunnels) now() int {
	t.lock.Lock()
	defer t.lock.Unlock()
	n := 0
	for _, up := range t.connected {
		if up {
			n++
		}
	}
	return n
}

// wait ends when this many tunnels are connected, or after the limit.
func (t *tunnels) wait(count int, limit time.Duration) {
	for began := time.Now(); t.now() < count && time.Since(began) < limit; {
		time.Sleep(50 * time.Millisecond)
	}
}

func (t *tunnels) report() map[string]any {
	connected := t.now()
	t.lock.Lock()
	defer t.lock.Unlock()
	return map[string]any{"lost": t.lost, "awayMedian": percentile(t.away, .5), "awayLongest": percentile(t.away, 1), "connected": connected}
}
