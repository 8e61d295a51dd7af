package nodejs

import (
	"context"
	"os"
	"os/exec"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// killDelay is the time between SIGINT and SIGKILL for a program that does not end.
const killDelay = 5 * time.Second

// node prepares a Node process. The end of the call or of the deployment sends SIGINT.
func (host *host) node(ctx context.Context, info *pulumirpc.ProgramInfo, environment, arguments []string) (*exec.Cmd, error) {
	options, err := parseOptions(info.GetOptions().AsMap())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(host.running, cancel)
	node := exec.CommandContext(ctx, "node", append(options.nodeArguments, arguments...)...)
	node.Cancel = func() error { return node.Process.Signal(os.Interrupt) }
	node.WaitDelay = killDelay
	node.Env = append(environment, options.environment...)
	return node, nil
}
