package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rancher/remotedialer"
)

// upstreamCommand stands in for the ingress of one node. It answers after the `d` milliseconds of the query, echoes WebSockets, and is the
// server of agents' tunnels. It records the id of every POST at its beginning. While the file `sick` exists, every answer is a 503. While
// the file `slow` exists, every answer takes 2 s longer.
func upstreamCommand(set *flag.FlagSet) func() (any, error) {
	listen := set.String("listen", ":80", "address to listen on")
	log := set.String("log", "/run/traffic-posts", "file for the ids of POSTs")
	sick := set.String("sick", "/run/traffic-sick", "file that makes every answer a 503")
	slow := set.String("slow", "/run/traffic-slow", "file that delays every answer by 2 s")
	return func() (any, error) {
		// The file is appended to, so that the ids from before a kill remain.
		file, err := os.OpenFile(*log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		tunnels := remotedialer.New(func(r *http.Request) (string, bool, error) {
			id := r.Header.Get("X-Agent")
			return id, id != "", nil
		}, remotedialer.DefaultErrorWriter)
		node := &node{posts: file, sick: *sick, slow: *slow}
		mux := http.NewServeMux()
		mux.Handle("/v3/connect", tunnels)
		mux.HandleFunc("/v3/connect/echo", echo)
		mux.HandleFunc("/", node.work)
		server := &http.Server{Addr: *listen, Handler: mux, IdleTimeout: 75 * time.Second}
		return nil, server.ListenAndServe()
	}
}

type node struct {
	posts *os.File
	sick  string
	slow  string
}

var body = make([]byte, 1024)

func (n *node) work(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if r.Method == http.MethodPost {
		fmt.Fprintln(n.posts, query.Get("id"))
	}
	io.Copy(io.Discard, r.Body)
	if _, err := os.Stat(n.sick); err == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if _, err := os.Stat(n.slow); err == nil {
		time.Sleep(2 * time.Second)
	}
	if delay, _ := strconv.Atoi(query.Get("d")); delay > 0 {
		time.Sleep(time.Duration(delay) * time.Millisecond)
	}
	if status, _ := strconv.Atoi(query.Get("status")); status > 0 {
		w.WriteHeader(status)
	}
	w.Write(body)
}

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, CheckOrigin: func(*http.Request) bool { return true }}

func echo(w http.ResponseWriter, r *http.Request) {
	connection, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer connection.Close()
	for {
		kind, message, err := connection.ReadMessage()
		if err != nil || connection.WriteMessage(kind, message) != nil {
			return
		}
	}
}
