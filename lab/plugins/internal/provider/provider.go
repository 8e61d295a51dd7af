// Package provider answers the Pulumi engine for resource types that are described by tables.
//
// Secrets are the engine's task. The engine sends plain values and encrypts every output that has the name of a secret input. The SDK's
// classes mark further outputs with `additionalSecretOutputs`.
package provider

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"pulumi-rancher-ha/lab/plugins/internal/plugin"
)

// Provider is a set of resource types and functions, each under its Pulumi token.
type Provider struct {
	Resources map[string]Resource
	Functions map[string]Function
}

// Function describes a function that a program calls without a resource.
type Function struct {
	Inputs Fields
	Run    func(ctx context.Context, call Call, inputs Values) (Values, error)
}

// Serve runs a provider as a plugin process until the CLI ends.
func Serve(provider Provider) error {
	address, err := plugin.EngineAddress()
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	server := NewServer(provider, pulumirpc.NewEngineClient(connection))
	return plugin.Serve(func(to *grpc.Server) { pulumirpc.RegisterResourceProviderServer(to, server) })
}
