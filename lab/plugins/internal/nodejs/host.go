// Package nodejs stands in for the language host nodejs. The Pulumi SDK in node_modules does the work. The host tells the SDK where the
// engine is and which program to run.
package nodejs

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"pulumi-rancher-ha/lab/plugins/internal/plugin"
)

// host is the language host.
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	// engine is the address of the CLI's engine.
	engine string
	// running ends when the user cancels the deployment or the CLI ends.
	running context.Context
	cancel  context.CancelFunc
}

// Serve runs the language host as a plugin process until the CLI ends.
func Serve() error {
	engine, err := plugin.EngineAddress()
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.Background())
	go func() {
		<-plugin.CLIEnded()
		cancel()
	}()
	host := &host{engine: engine, running: running, cancel: cancel}
	return plugin.Serve(func(server *grpc.Server) { pulumirpc.RegisterLanguageRuntimeServer(server, host) })
}

func (host *host) Handshake(context.Context, *pulumirpc.LanguageHandshakeRequest) (*pulumirpc.LanguageHandshakeResponse, error) {
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (host *host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{}, nil
}

// RuntimeOptionsPrompts has no questions for `pulumi new`.
func (host *host) RuntimeOptionsPrompts(
	context.Context, *pulumirpc.RuntimeOptionsRequest,
) (*pulumirpc.RuntimeOptionsResponse, error) {
	return &pulumirpc.RuntimeOptionsResponse{}, nil
}

// Cancel ends the program, when the user presses Ctrl-C.
func (host *host) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	host.cancel()
	return &emptypb.Empty{}, nil
}
