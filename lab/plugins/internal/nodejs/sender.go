package nodejs

import (
	"bytes"
	"io"
	"sync"
)

// sender sends a process's output over a gRPC stream.
type sender struct {
	lock *sync.Mutex
	send func(text []byte) error
}

// senders returns writers for standard output and standard error. They share a lock, because a gRPC stream takes one message at a time.
func senders(stdout, stderr func(text []byte) error) (io.Writer, io.Writer) {
	lock := &sync.Mutex{}
	return sender{lock, stdout}, sender{lock, stderr}
}

func (sender sender) Write(text []byte) (int, error) {
	sender.lock.Lock()
	defer sender.lock.Unlock()
	return len(text), sender.send(bytes.Clone(text))
}
