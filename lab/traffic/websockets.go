package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// websocketsCommand opens WebSockets and holds them until standard input has a line. Then it counts the WebSockets that still answer.
func websocketsCommand(set *flag.FlagSet) func() (any, error) {
	var to target
	to.flags(set)
	count := set.Int("count", 100, "number of WebSockets")
	limit := set.Duration("limit", 5*time.Minute, "duration after which the command ends without a line on standard input")
	return func() (any, error) {
		dialer := &websocket.Dialer{
			HandshakeTimeout: 20 * time.Second, ReadBufferSize: 512, WriteBufferSize: 512,
			TLSClientConfig: to.tls("http/1.1"),
			NetDial:         func(network, _ string) (net.Conn, error) { return net.Dial(network, to.address) },
		}
		sockets := make([]*websocket.Conn, *count)
		each(*count, 64, func(i int) {
			sockets[i], _, _ = dialer.Dial("wss://"+to.host+"/v3/connect/echo", nil)
		})
		opened := 0
		for _, socket := range sockets {
			if socket != nil {
				opened++
			}
		}
		fmt.Printf("{\"opened\":%d}\n", opened)
		waitForLine(*limit)
		var held atomic.Int64
		each(*count, 64, func(i int) {
			socket := sockets[i]
			if socket == nil {
				return
			}
			defer socket.Close()
			socket.SetReadDeadline(time.Now().Add(20 * time.Second))
			if socket.WriteMessage(websocket.TextMessage, []byte("still there")) != nil {
				return
			}
			if _, _, err := socket.ReadMessage(); err == nil {
				held.Add(1)
			}
		})
		return map[string]any{"opened": opened, "held": held.Load()}, nil
	}
}

func waitForLine(limit time.Duration) {
	line := make(chan struct{})
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		close(line)
	}()
	select {
	case <-line:
	case <-time.After(limit):
	}
}

// each runs work for 0 … count-1, at most atOnce at the same time.
func each(count, atOnce int, work func(i int)) {
	var all sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range next {
				work(i)
			}
		}()
	}
	for i := range count {
		next <- i
	}
	close(next)
	all.Wait()
}

var background = context.Background()
