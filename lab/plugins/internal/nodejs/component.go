package nodejs

import (
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// RunPlugin runs a provider in TypeScript, for example a package of components that YAML programs use.
func (host *host) RunPlugin(request *pulumirpc.RunPluginRequest, stream pulumirpc.LanguageRuntime_RunPluginServer) error {
	info := request.GetInfo()
	sdk, err := FindSDKProgram(info.GetProgramDirectory(), "run-plugin")
	if err != nil {
		return err
	}
	arguments := append([]string{sdk, info.GetProgramDirectory()}, request.GetArgs()...)
	node, err := host.node(stream.Context(), info, request.GetEnv(), arguments)
	if err != nil {
		return err
	}
	node.Dir = request.GetPwd()
	node.Stdout, node.Stderr = senders(
		func(text []byte) error {
			return stream.Send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stdout{Stdout: text}})
		},
		func(text []byte) error {
			return stream.Send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stderr{Stderr: text}})
		},
	)
	err = node.Run()
	if node.ProcessState == nil {
		return err // Node did not start.
	}
	code := int32(node.ProcessState.ExitCode())
	return stream.Send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: code}})
}
