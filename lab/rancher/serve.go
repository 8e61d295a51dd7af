package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// program returns the servers that run in place of a pod's containers. Everything else that it starts ends with ctx.
type program func(ctx context.Context, n *node, pod *corev1.Pod, client kubernetes.Interface) ([]server, error)

// server listens on one address. The pod is ready when every server answers its probe path with 200, and has run for its delay.
type server struct {
	address     string
	handler     http.Handler
	probe       string
	delay       time.Duration
	idleTimeout time.Duration
}

// podPort returns the node's port for a pod's container port. Pod networks lead nowhere in the lab. So a pod that serves has its node's
// address, as with hostNetwork, and this port in place of the container's.
func podPort(pod types.UID, containerPort int32) int32 {
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%s/%d", pod, containerPort)
	return 20000 + int32(hash.Sum32()%10000)
}

// serve runs the servers until ctx ends or one of them fails, and reports readiness once a second.
func serve(ctx context.Context, servers []server, report func(ready bool)) error {
	ended := make(chan error, len(servers))
	var stopped sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer stopped.Wait()
	defer stop()
	for _, s := range servers {
		listener, err := listen(s.address)
		if err != nil {
			return err
		}
		httpServer := &http.Server{Handler: s.handler, IdleTimeout: s.idleTimeout, ReadHeaderTimeout: time.Minute}
		go func() { ended <- httpServer.Serve(listener) }()
		stopped.Add(1)
		go func() {
			defer stopped.Done()
			<-ctx.Done()
			grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			httpServer.Shutdown(grace)
			listener.closeConnections()
		}()
	}
	started := time.Now()
	for {
		report(answer(ctx, servers, time.Since(started)))
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return err
		case <-time.After(time.Second):
		}
	}
}

var probeClient = &http.Client{Timeout: 5 * time.Second}

func answer(ctx context.Context, servers []server, age time.Duration) bool {
	for _, s := range servers {
		if age < s.delay || !answersOK(ctx, "http://"+s.address+s.probe) {
			return false
		}
	}
	return true
}

func answersOK(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := probeClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// trackingListener can close every connection that it accepted, as the end of a container does. http.Server no longer knows upgraded
// connections.
type trackingListener struct {
	net.Listener
	lock  sync.Mutex
	conns map[net.Conn]struct{}
}

func listen(address string) (*trackingListener, error) {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return nil, err
	}
	return &trackingListener{Listener: listener, conns: map[net.Conn]struct{}{}}, nil
}

func (l *trackingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{conn, l}
	l.lock.Lock()
	defer l.lock.Unlock()
	l.conns[tracked] = struct{}{}
	return tracked, nil
}

func (l *trackingListener) closeConnections() {
	l.lock.Lock()
	conns := l.conns
	l.conns = map[net.Conn]struct{}{}
	l.lock.Unlock()
	for conn := range conns {
		conn.Close()
	}
}

type trackedConn struct {
	net.Conn
	listener *trackingListener
}

func (c *trackedConn) Close() error {
	c.listener.lock.Lock()
	delete(c.listener.conns, c)
	c.listener.lock.Unlock()
	return c.Conn.Close()
}
