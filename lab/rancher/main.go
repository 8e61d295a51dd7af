// node-workloads stands in for the container runtime of a lab node. It runs the pods that must really answer requests: RKE's ingress
// controller and Rancher. "node-workloads agent" is the cluster agent's side of Rancher's tunnel.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run, arguments := runNode, os.Args[1:]
	if len(arguments) > 0 && arguments[0] == "agent" {
		run, arguments = runAgent, arguments[1:]
	}
	if err := run(ctx, arguments); err != nil {
		fmt.Fprintln(os.Stderr, "node-workloads:", err)
		os.Exit(1)
	}
}

func runNode(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("node-workloads", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "the kubelet's kubeconfig `file`")
	name := flags.String("node", "", "`name` of the Node object")
	ip := flags.String("node-ip", "", "IPv4 `address` of the node; everything listens there")
	health := flags.String("health", "http://127.0.0.1:10248/healthz", "health `URL` of the kubelet; pods start and end only while it answers")
	flags.Parse(arguments)
	if *kubeconfig == "" || *name == "" || *ip == "" {
		return errors.New("--kubeconfig, --node and --node-ip are needed")
	}
	return newNode(&kubelet{kubeconfig: *kubeconfig, node: *name, health: *health}, *ip).run(ctx)
}

func runAgent(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("node-workloads agent", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "node-workloads agent: connects to Rancher with the registration token from standard input. With the variable CATTLE_CA_CHECKSUM, "+
			"it trusts only the CA that Rancher hands out and that has this SHA-256. Without the variable, it trusts the system's CAs.")
		flags.PrintDefaults()
	}
	a := agent{out: os.Stdout, caChecksum: os.Getenv("CATTLE_CA_CHECKSUM")}
	flags.StringVar(&a.server, "server", "", "Rancher's `URL`, https://host[:port]")
	flags.StringVar(&a.id, "id", "", "`name` under which requests reach this agent")
	flags.StringVar(&a.resolve, "resolve", "", "`host:port:address` to use instead of DNS, like curl's option --resolve")
	flags.Parse(arguments)
	if a.server == "" || a.id == "" {
		flags.Usage()
		return errors.New("--server and --id are needed")
	}
	token, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if a.token = strings.TrimSpace(string(token)); a.token == "" {
		return errors.New("the registration token is expected on standard input")
	}
	return a.run(ctx)
}
