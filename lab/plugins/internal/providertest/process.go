package providertest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"google.golang.org/grpc"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Process is a plugin that runs as the CLI runs it.
type Process struct {
	*Client
	Connection *grpc.ClientConn
	Command    *exec.Cmd
	// Stdin is the end of standard input that the CLI holds.
	Stdin io.Closer
	// Ended is closed when the plugin has ended.
	Ended chan struct{}
}

// Start runs a plugin's file until the test ends.
func Start(t *testing.T, file string) *Process {
	t.Helper()
	engine := &engine{}
	command := exec.Command(file, serve(t, func(to *grpc.Server) { pulumirpc.RegisterEngineServer(to, engine) }))
	stdin, err := command.StdinPipe()
	Must(t, err)
	stdout, err := command.StdoutPipe()
	Must(t, err)
	command.Stderr = os.Stderr
	Must(t, command.Start())
	port, err := bufio.NewReader(stdout).ReadString('\n')
	Must(t, err)
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = command.Process.Signal(os.Interrupt)
		<-ended
	})
	connection := connect(t, "127.0.0.1:"+strings.TrimSpace(port))
	client := &Client{ResourceProviderClient: pulumirpc.NewResourceProviderClient(connection), engine: engine}
	return &Process{Client: client, Connection: connection, Command: command, Stdin: stdin, Ended: ended}
}
