package nodejs

import (
	"context"
	"os/exec"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// About reports to `pulumi about` which Node runs programs.
func (host *host) About(ctx context.Context, _ *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	executable, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, executable, "--version").Output()
	return &pulumirpc.AboutResponse{Executable: executable, Version: strings.TrimSpace(string(version))}, err
}
