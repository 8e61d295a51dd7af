package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

func TestTheDynamicProviderIsTheSDKsProgram(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "node_modules/@pulumi/pulumi/cmd/dynamic-provider")
	providertest.Must(t, os.MkdirAll(program, 0o700))
	// Stands in for Node: it prints a port and runs until it is killed.
	started := filepath.Join(folder, "started")
	script := "#!/bin/sh\necho \"$@\" > " + started + "\necho 1\nexec sleep 20\n"
	providertest.Must(t, os.WriteFile(filepath.Join(folder, "node"), []byte(script), 0o700))
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	t.Chdir(folder)
	plugin := providertest.Start(t, install(t, "bin", "pulumi-resource-pulumi-nodejs"))
	arguments, err := os.ReadFile(started)
	providertest.Must(t, err)
	if !strings.HasSuffix(strings.Fields(string(arguments))[0], "/node_modules/@pulumi/pulumi/cmd/dynamic-provider") {
		t.Errorf("expected the SDK's program, found %q", arguments)
	}
	providertest.Must(t, plugin.Stdin.Close())
	expectEnd(t, plugin)
}
