// Package providertest calls providers over gRPC as the Pulumi engine does.
package providertest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// maxMessage is the limit for one message, in bytes. It lets commands of a test print megabytes.
const maxMessage = 64 << 20

// engine records the lines that a provider logs.
type engine struct {
	pulumirpc.UnimplementedEngineServer
	lock  sync.Mutex
	lines []string
}

func (engine *engine) Log(_ context.Context, request *pulumirpc.LogRequest) (*emptypb.Empty, error) {
	engine.lock.Lock()
	defer engine.lock.Unlock()
	line := request.GetMessage()
	if request.GetSeverity() != pulumirpc.LogSeverity_INFO || !request.GetEphemeral() {
		line = fmt.Sprintf("%s ephemeral=%v %s", request.GetSeverity(), request.GetEphemeral(), line)
	}
	engine.lines = append(engine.lines, line)
	return &emptypb.Empty{}, nil
}

// take returns the recorded lines and forgets them.
func (engine *engine) take() []string {
	engine.lock.Lock()
	defer engine.lock.Unlock()
	lines := engine.lines
	engine.lines = nil
	return lines
}

// serve runs a gRPC server until the test ends and returns its address.
func serve(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Must(t, err)
	server := grpc.NewServer()
	register(server)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func connect(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	Must(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// Must fails the test at once for an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
