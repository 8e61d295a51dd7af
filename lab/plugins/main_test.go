package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

const localCommand = "command:local:Command"

// TestMain lets the test's executable act as a plugin when it is called by a plugin's name.
func TestMain(m *testing.M) {
	if _, isPlugin := plugins[filepath.Base(os.Args[0])]; isPlugin {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestEveryPluginAnswersAndTellsTheVersionOfItsFolder(t *testing.T) {
	for _, name := range []string{"command", "random", "tls"} {
		plugin := providertest.Start(t, install(t, "resource-"+name+"-v1.2.3", "pulumi-resource-"+name))
		info, err := plugin.GetPluginInfo(t.Context(), &emptypb.Empty{})
		providertest.Must(t, err)
		if info.GetVersion() != "1.2.3" {
			t.Errorf("%s: expected version 1.2.3, found %q", name, info.GetVersion())
		}
	}
	host := providertest.Start(t, install(t, "bin", "pulumi-language-nodejs"))
	_, err := pulumirpc.NewLanguageRuntimeClient(host.Connection).GetPluginInfo(t.Context(), &emptypb.Empty{})
	providertest.Must(t, err)
}

func TestAPluginEndsWhenTheCLIEnds(t *testing.T) {
	for _, name := range []string{"pulumi-resource-command", "pulumi-language-nodejs"} {
		plugin := providertest.Start(t, install(t, "bin", name))
		providertest.Must(t, plugin.Stdin.Close())
		expectEnd(t, plugin)
	}
}

func TestAPluginEndsBySIGINT(t *testing.T) {
	plugin := providertest.Start(t, install(t, "bin", "pulumi-resource-command"))
	providertest.Must(t, plugin.Command.Process.Signal(os.Interrupt))
	expectEnd(t, plugin)
}

func TestARunningCommandFinishesAfterTheCLIEnds(t *testing.T) {
	plugin := providertest.Start(t, install(t, "bin", "pulumi-resource-command"))
	folder := t.TempDir()
	begun, finished := filepath.Join(folder, "begun"), filepath.Join(folder, "finished")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		command := "touch " + begun + "; sleep 0.5; touch " + finished
		properties, _ := providertest.Struct(provider.Values{"create": command})
		_, _ = plugin.Create(ctx, &pulumirpc.CreateRequest{Type: localCommand, Name: "one", Properties: properties})
	}()
	waitFor(t, begun)
	cancel()
	providertest.Must(t, plugin.Connection.Close())
	providertest.Must(t, plugin.Stdin.Close())
	expectEnd(t, plugin)
	if _, err := os.Stat(finished); err != nil {
		t.Errorf("expected the command to finish, found %v", err)
	}
}

func TestOtherNamesAreRefused(t *testing.T) {
	err := run("other")
	expected := `expected to be called by a plugin's name, found "other": link this file to one of pulumi-language-nodejs,`
	if err == nil || !strings.HasPrefix(err.Error(), expected) {
		t.Errorf("expected %q, found %v", expected, err)
	}
}

func TestAMissingEngineIsRefused(t *testing.T) {
	for _, name := range []string{"pulumi-resource-command", "pulumi-language-nodejs"} {
		output, err := exec.Command(install(t, "bin", name)).CombinedOutput()
		expected := name + ": expected the address of the Pulumi engine as last argument, found no argument"
		if err == nil || !strings.HasPrefix(string(output), expected) {
			t.Errorf("expected %q, found %q", expected, output)
		}
	}
}

// install links the test's executable to a plugin's name.
func install(t *testing.T, folder, name string) string {
	t.Helper()
	executable, err := os.Executable()
	providertest.Must(t, err)
	link := filepath.Join(t.TempDir(), folder, name)
	providertest.Must(t, os.MkdirAll(filepath.Dir(link), 0o700))
	providertest.Must(t, os.Symlink(executable, link))
	return link
}

func expectEnd(t *testing.T, plugin *providertest.Process) {
	t.Helper()
	select {
	case <-plugin.Ended:
		if !plugin.Command.ProcessState.Success() {
			t.Errorf("expected exit code 0, found %v", plugin.Command.ProcessState)
		}
	case <-time.After(10 * time.Second):
		t.Error("expected the plugin to end, it runs after 10 s")
	}
}

func waitFor(t *testing.T, file string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("expected %s, found none after 10 s", file)
		}
	}
}
