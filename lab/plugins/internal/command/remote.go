package command

import (
	"context"
	"fmt"
	"strings"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// runRemote runs a command over SSH. Cancellation does not end a running command: wrap the command in `timeout`.
func runRemote(
	ctx context.Context, call provider.Call, inputs provider.Values, command string, state provider.Values,
) (provider.Values, error) {
	client, err := dial(ctx, call, inputs.Object("connection"))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	defer session.Close()
	for _, variable := range environment(inputs) {
		if err := session.Setenv(variable.name, variable.value); err != nil {
			return nil, fmt.Errorf("could not set environment variable %q: %w: allow it with AcceptEnv in sshd_config, "+
				"or set it in the command itself", variable.name, err)
		}
	}
	// Debian's sshd refuses these variables. That must not fail commands that do not need them.
	for _, variable := range previousOutput(inputs, state) {
		if err := session.Setenv(variable.name, variable.value); err != nil {
			call.Warn(fmt.Sprintf("could not set environment variable %q: %v", variable.name, err))
		}
	}
	if stdin := inputs.String("stdin"); stdin != "" {
		session.Stdin = strings.NewReader(stdin)
	}
	output := newOutput(call, inputs)
	session.Stdout, session.Stderr = output.stdout, output.stderr
	return output.result(session.Run(command), command)
}
