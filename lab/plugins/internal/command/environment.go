package command

import (
	"maps"
	"slices"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// variable is an environment variable.
type variable struct{ name, value string }

// environment returns the program's variables, sorted by name.
func environment(inputs provider.Values) []variable {
	var variables []variable
	own := inputs.Object("environment")
	for _, name := range slices.Sorted(maps.Keys(own)) {
		variables = append(variables, variable{name, own.String(name)})
	}
	return variables
}

// previousOutput returns variables with the previous run's output, unless the program switches them off.
func previousOutput(inputs, state provider.Values) []variable {
	if inputs.Has("addPreviousOutputInEnv") && !inputs.Bool("addPreviousOutputInEnv") {
		return nil
	}
	var variables []variable
	for _, previous := range []variable{
		{"PULUMI_COMMAND_STDOUT", state.String("stdout")},
		{"PULUMI_COMMAND_STDERR", state.String("stderr")},
	} {
		if previous.value != "" {
			variables = append(variables, previous)
		}
	}
	return variables
}
