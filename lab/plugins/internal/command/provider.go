// Package command stands in for the provider command: local.Command, remote.Command and local.run.
package command

import (
	"context"
	"maps"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// runner runs a command. The state holds the outputs of the previous run.
type runner func(
	ctx context.Context, call provider.Call, inputs provider.Values, command string, state provider.Values,
) (provider.Values, error)

var (
	runInputs = provider.Fields{
		"stdin":                  provider.String,
		"logging":                provider.OneOf("stdout", "stderr", "stdoutAndStderr", "none"),
		"environment":            provider.MapOf(provider.String),
		"addPreviousOutputInEnv": provider.Bool,
	}
	localInputs     = join(runInputs, provider.Fields{"interpreter": provider.ListOf(provider.String), "dir": provider.String})
	remoteInputs    = join(runInputs, provider.Fields{"connection": provider.Required(provider.Object(connectionFields))})
	lifecycleInputs = provider.Fields{
		"create":   provider.String,
		"update":   provider.String,
		"delete":   provider.String,
		"triggers": provider.ListOf(provider.Any),
	}
)

// Provider returns the stand-in.
func Provider() provider.Provider {
	return provider.Provider{
		Resources: map[string]provider.Resource{
			"command:local:Command":  resource(runLocal, join(lifecycleInputs, localInputs)),
			"command:remote:Command": resource(runRemote, join(lifecycleInputs, remoteInputs)),
		},
		Functions: map[string]provider.Function{
			"command:local:run": {
				Inputs: join(localInputs, provider.Fields{"command": provider.Required(provider.String)}),
				Run:    runFunction,
			},
		},
	}
}

// runFunction runs a local command in every preview and update, and returns its inputs beside its outputs.
func runFunction(ctx context.Context, call provider.Call, inputs provider.Values) (provider.Values, error) {
	outputs, err := runLocal(ctx, call, inputs, inputs.String("command"), nil)
	if err != nil {
		return nil, err
	}
	return join(inputs, outputs), nil
}

func join[T any, M ~map[string]T](parts ...M) M {
	all := M{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}
