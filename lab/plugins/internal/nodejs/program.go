package nodejs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// reportedExit is the exit code of a program whose error the SDK has already shown.
const reportedExit = 32

// Run runs a Pulumi program against the engine.
func (host *host) Run(ctx context.Context, request *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	node, err := host.program(ctx, request)
	if err != nil {
		return &pulumirpc.RunResponse{Error: err.Error()}, nil
	}
	err = node.Run()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case errors.As(err, &exit) && exit.ExitCode() == reportedExit:
		return &pulumirpc.RunResponse{Bail: true}, nil
	case errors.As(err, &exit):
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("program exited with non-zero exit code: %d", exit.ExitCode())}, nil
	default:
		return &pulumirpc.RunResponse{Error: err.Error()}, nil
	}
}

func (host *host) program(ctx context.Context, request *pulumirpc.RunRequest) (*exec.Cmd, error) {
	info := request.GetInfo()
	sdk, err := FindSDKProgram(info.GetProgramDirectory(), "run")
	if err != nil {
		return nil, err
	}
	arguments := []string{
		sdk,
		"--monitor", request.GetMonitorAddress(),
		"--engine", host.engine,
		"--organization", request.GetOrganization(),
		"--project", request.GetProject(),
		"--root-directory", info.GetRootDirectory(),
		"--stack", request.GetStack(),
		"--pwd", info.GetProgramDirectory(),
		"--parallel", strconv.Itoa(int(request.GetParallel())),
	}
	if request.GetDryRun() {
		arguments = append(arguments, "--dry-run")
	}
	arguments = append(append(arguments, info.GetEntryPoint()), request.GetArgs()...)
	environment, err := configEnvironment(request)
	if err != nil {
		return nil, err
	}
	node, err := host.node(ctx, info, append(os.Environ(), environment...), arguments)
	if err != nil {
		return nil, err
	}
	// Wraps both streams, so that Node gets pipes. Node makes the streams it shares non-blocking.
	node.Stdout, node.Stderr = struct{ io.Writer }{os.Stdout}, struct{ io.Writer }{os.Stderr}
	return node, nil
}

// configEnvironment returns the variables that hand the stack's configuration to the SDK. An empty configuration must not be null.
func configEnvironment(request *pulumirpc.RunRequest) ([]string, error) {
	config, secretKeys := request.GetConfig(), request.GetConfigSecretKeys()
	if config == nil {
		config = map[string]string{}
	}
	if secretKeys == nil {
		secretKeys = []string{}
	}
	configText, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	keysText, err := json.Marshal(secretKeys)
	if err != nil {
		return nil, err
	}
	return []string{"PULUMI_CONFIG=" + string(configText), "PULUMI_CONFIG_SECRET_KEYS=" + string(keysText)}, nil
}
