package command

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// resource describes a resource type that runs its commands with run.
func resource(run runner, inputs provider.Fields) provider.Resource {
	outputs := []string{"stdout", "stderr"}
	return provider.Resource{
		Inputs:   inputs,
		Outputs:  outputs,
		Renewed:  outputs,
		Replaces: func(input string) bool { return input == "triggers" },
		Create:   run.create,
		Update:   run.update,
		Delete:   run.delete,
	}
}

func (run runner) create(ctx context.Context, call provider.Call, inputs provider.Values) (string, provider.Values, error) {
	var random [4]byte
	_, _ = rand.Read(random[:]) // rand.Read never fails, see its documentation.
	id := call.Name + hex.EncodeToString(random[:])
	if !inputs.Has("create") {
		return id, provider.Values{"stdout": "", "stderr": ""}, nil
	}
	outputs, err := run(ctx, call, inputs, inputs.String("create"), nil)
	return id, outputs, err
}

// update runs the command `update`, or `create` where there is none.
func (run runner) update(ctx context.Context, call provider.Call, state, inputs provider.Values) (provider.Values, error) {
	for _, command := range []string{"update", "create"} {
		if inputs.Has(command) {
			return run(ctx, call, inputs, inputs.String(command), state)
		}
	}
	return nil, nil
}

// delete runs the state's command with the state's inputs, because the program no longer has the resource.
func (run runner) delete(ctx context.Context, call provider.Call, state provider.Values) error {
	if !state.Has("delete") {
		return nil
	}
	_, err := run(ctx, call, state, state.String("delete"), state)
	return err
}
