package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"pulumi-rancher-ha/lab/plugins/internal/nodejs"
	"pulumi-rancher-ha/lab/plugins/internal/plugin"
)

func init() { plugins["pulumi-resource-pulumi-nodejs"] = runDynamicProvider }

// runDynamicProvider runs the SDK's provider for dynamic resources. That program prints its port itself.
func runDynamicProvider() error {
	program, err := nodejs.FindSDKProgram(".", "dynamic-provider")
	if err != nil {
		return err
	}
	// The CLI sends SIGINT to the whole process group. Node ends by the signal, and this process ends after Node.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	node := exec.Command("node", append([]string{program}, os.Args[1:]...)...)
	node.Stdout, node.Stderr = os.Stdout, os.Stderr
	if err := node.Start(); err != nil {
		return err
	}
	go func() {
		<-plugin.CLIEnded()
		_ = node.Process.Kill()
	}()
	err = node.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && !exit.Exited() {
		return nil // A signal ended Node: the deployment is over.
	}
	if err != nil {
		return fmt.Errorf("node %s: %w", program, err)
	}
	return nil
}
