// Package plugin implements the protocol between the Pulumi CLI and a plugin process.
package plugin

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"

	"google.golang.org/grpc"
)

// maxMessage is the CLI's own limit for one message, in bytes.
const maxMessage = 400 << 20

// Serve answers the CLI over gRPC until the CLI sends SIGINT or ends. Running calls finish first.
//
// A plugin prints its port alone on a line of standard output.
func Serve(register func(*grpc.Server)) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage))
	register(server)
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	go func() {
		select {
		case <-interrupt:
		case <-CLIEnded():
		}
		server.GracefulStop()
	}()
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	if err := server.Serve(listener); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil // The CLI ended before the server began.
}
