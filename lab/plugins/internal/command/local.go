package command

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// runLocal runs a command on this machine. Cancellation kills the shell alone, then waits for the processes that the shell started.
func runLocal(
	ctx context.Context, call provider.Call, inputs provider.Values, command string, state provider.Values,
) (provider.Values, error) {
	interpreter := inputs.Strings("interpreter")
	if len(interpreter) == 0 {
		interpreter = []string{"/bin/sh", "-c"}
	}
	process := exec.CommandContext(ctx, interpreter[0], append(interpreter[1:], command)...)
	process.Dir = inputs.String("dir")
	process.Env = os.Environ()
	for _, variable := range slices.Concat(environment(inputs), previousOutput(inputs, state)) {
		process.Env = append(process.Env, variable.name+"="+variable.value)
	}
	if stdin := inputs.String("stdin"); stdin != "" {
		process.Stdin = strings.NewReader(stdin)
	}
	output := newOutput(call, inputs)
	process.Stdout, process.Stderr = output.stdout, output.stderr
	return output.result(process.Run(), command)
}
