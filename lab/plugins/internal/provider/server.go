package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"pulumi-rancher-ha/lab/plugins/internal/plugin"
)

// server translates the engine's calls into calls of a Provider's tables.
type server struct {
	pulumirpc.UnimplementedResourceProviderServer
	provider Provider
	engine   pulumirpc.EngineClient
	// running ends when the user cancels the deployment. A call's own context must not end a command half-way.
	running context.Context
	cancel  context.CancelFunc
}

// NewServer returns a provider's gRPC service. Log lines go to the engine.
func NewServer(provider Provider, engine pulumirpc.EngineClient) pulumirpc.ResourceProviderServer {
	running, cancel := context.WithCancel(context.Background())
	return &server{provider: provider, engine: engine, running: running, cancel: cancel}
}

func (server *server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: plugin.Version()}, nil
}

func (server *server) Configure(context.Context, *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	return &pulumirpc.ConfigureResponse{SupportsPreview: true}, nil
}

// Cancel ends running commands, when the user presses Ctrl-C.
func (server *server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	server.cancel()
	return &emptypb.Empty{}, nil
}

func (server *server) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	resource, err := find(server.provider.Resources, request.GetType())
	if err != nil {
		return nil, err
	}
	response := &pulumirpc.CheckResponse{Inputs: request.GetNews()}
	for _, problem := range resource.Inputs.check("", request.GetNews().AsMap()) {
		// The CLI prints the value of a failure's Property, a secret perhaps. The reason names the input instead.
		response.Failures = append(response.Failures, &pulumirpc.CheckFailure{Reason: problem})
	}
	return response, nil
}

func (server *server) Diff(_ context.Context, request *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	resource, err := find(server.provider.Resources, request.GetType())
	if err != nil {
		return nil, err
	}
	before, after := resource.complete(request.GetOldInputs()), resource.complete(request.GetNews())
	response := &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE, Diffs: resource.changed(before, after)}
	for _, input := range response.Diffs {
		if resource.Replaces != nil && resource.Replaces(input) {
			response.Replaces = append(response.Replaces, input)
		}
	}
	if resource.Expired != nil {
		expired := resource.Expired(request.GetOlds().AsMap(), after)
		response.Diffs = append(response.Diffs, expired...)
		response.Replaces = append(response.Replaces, expired...)
	}
	if len(response.Diffs) > 0 {
		response.Changes = pulumirpc.DiffResponse_DIFF_SOME
	}
	return response, nil
}

func (server *server) Create(_ context.Context, request *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	resource, err := find(server.provider.Resources, request.GetType())
	if err != nil {
		return nil, err
	}
	inputs := resource.complete(request.GetProperties())
	if request.GetPreview() {
		properties, err := toStruct(inputs, unknowns(resource.Outputs))
		return &pulumirpc.CreateResponse{Properties: properties}, err
	}
	ctx, cancel := server.limit(request.GetTimeout())
	defer cancel()
	id, outputs, err := resource.Create(ctx, server.call(request.GetUrn(), request.GetName()), inputs)
	if err != nil {
		return nil, err
	}
	properties, err := toStruct(inputs, outputs)
	return &pulumirpc.CreateResponse{Id: id, Properties: properties}, err
}

func (server *server) Update(_ context.Context, request *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	resource, err := find(server.provider.Resources, request.GetType())
	if err != nil {
		return nil, err
	}
	state, inputs := Values(request.GetOlds().AsMap()), resource.complete(request.GetNews())
	var renewed Values
	switch {
	case !request.GetPreview():
		ctx, cancel := server.limit(request.GetTimeout())
		defer cancel()
		if renewed, err = resource.Update(ctx, server.call(request.GetUrn(), request.GetName()), state, inputs); err != nil {
			return nil, err
		}
	case resource.isStale(state, inputs):
		renewed = unknowns(resource.Renewed)
	}
	properties, err := toStruct(resource.keep(state), inputs, renewed)
	return &pulumirpc.UpdateResponse{Properties: properties}, err
}

func (server *server) Delete(_ context.Context, request *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	resource, err := find(server.provider.Resources, request.GetType())
	if err != nil {
		return nil, err
	}
	if resource.Delete != nil {
		ctx, cancel := server.limit(request.GetTimeout())
		defer cancel()
		err = resource.Delete(ctx, server.call(request.GetUrn(), request.GetName()), request.GetProperties().AsMap())
	}
	return &emptypb.Empty{}, err
}

// Read returns the state it is given: these resources exist nowhere but in the state. An import has no state and is refused.
func (server *server) Read(_ context.Context, request *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	if len(request.GetInputs().GetFields()) == 0 {
		return nil, fmt.Errorf("%s %q: expected a resource of this stack, found an import or a get: %s",
			request.GetType(), request.GetId(), useTheRealPlugin)
	}
	return &pulumirpc.ReadResponse{Id: request.GetId(), Inputs: request.GetInputs(), Properties: request.GetProperties()}, nil
}

func (server *server) Invoke(_ context.Context, request *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	function, err := find(server.provider.Functions, request.GetTok())
	if err != nil {
		return nil, err
	}
	inputs := Values(request.GetArgs().AsMap())
	if problems := function.Inputs.check("", inputs); problems != nil {
		return nil, fmt.Errorf("%s: %s", request.GetTok(), strings.Join(problems, "; "))
	}
	result, err := function.Run(server.running, server.call("", ""), inputs)
	if err != nil {
		return nil, err
	}
	properties, err := toStruct(result)
	return &pulumirpc.InvokeResponse{Return: properties}, err
}

// limit returns the context for a call with a `customTimeouts` option in seconds, where 0 means none.
func (server *server) limit(seconds float64) (context.Context, context.CancelFunc) {
	if seconds == 0 {
		return context.WithCancel(server.running)
	}
	return context.WithTimeout(server.running, time.Duration(seconds*float64(time.Second)))
}

// find returns an entry of a table, or an error that lists the table's tokens.
func find[T any](table map[string]T, token string) (T, error) {
	found, known := table[token]
	if !known {
		tokens := strings.Join(slices.Sorted(maps.Keys(table)), ", ")
		return found, fmt.Errorf("expected one of %s, found %s: %s", tokens, token, useTheRealPlugin)
	}
	return found, nil
}
