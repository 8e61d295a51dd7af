package provider

import (
	"context"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Call describes the resource of one engine call to its resource type.
type Call struct {
	// Name is the resource's name in the program.
	Name string
	show func(severity pulumirpc.LogSeverity, line string, ephemeral bool)
}

// Log shows a line beside the resource while the call runs.
func (call Call) Log(line string) { call.show(pulumirpc.LogSeverity_INFO, line, true) }

// Warn shows a warning that stays after the call.
func (call Call) Warn(line string) { call.show(pulumirpc.LogSeverity_WARNING, line, false) }

func (server *server) call(urn, name string) Call {
	return Call{Name: name, show: func(severity pulumirpc.LogSeverity, line string, ephemeral bool) {
		// A line that cannot be shown must not fail a deployment. A cancelled deployment still shows lines.
		_, _ = server.engine.Log(context.WithoutCancel(server.running), &pulumirpc.LogRequest{
			Severity: severity, Message: line, Urn: urn, Ephemeral: ephemeral,
		})
	}}
}
