package nodejs

import (
	"os/exec"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// InstallDependencies runs npm, for `pulumi install` and `pulumi package get-schema`.
func (host *host) InstallDependencies(
	request *pulumirpc.InstallDependenciesRequest, stream pulumirpc.LanguageRuntime_InstallDependenciesServer,
) error {
	if _, err := parseOptions(request.GetInfo().GetOptions().AsMap()); err != nil {
		return err
	}
	npm := exec.CommandContext(stream.Context(), "npm", "install", "--loglevel=error")
	npm.Dir = request.GetInfo().GetProgramDirectory()
	npm.Stdout, npm.Stderr = senders(
		func(text []byte) error { return stream.Send(&pulumirpc.InstallDependenciesResponse{Stdout: text}) },
		func(text []byte) error { return stream.Send(&pulumirpc.InstallDependenciesResponse{Stderr: text}) },
	)
	return npm.Run()
}
