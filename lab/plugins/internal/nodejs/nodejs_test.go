package nodejs

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

func TestTheProgramGetsEngineConfigurationAndOptions(t *testing.T) {
	project := newProject(t, `printf '%s\n' "$@" "$PULUMI_CONFIG" "$PULUMI_CONFIG_SECRET_KEYS" "$PULUMI_NODEJS_TYPESCRIPT" \
		"$PULUMI_NODEJS_TSCONFIG_PATH" > `+"$OUT")
	response, err := project.host.Run(t.Context(), &pulumirpc.RunRequest{
		Info:           project.info(t, map[string]any{"nodeargs": "--trace-warnings --no-deprecation", "tsconfig": "tsconfig.build.json"}),
		MonitorAddress: "monitor:1", Organization: "organization", Project: "project", Stack: "dev", Parallel: 4, DryRun: true,
		Config: map[string]string{"project:a": "b"}, Args: []string{"argument"},
	})
	providertest.Must(t, err)
	if response.GetError() != "" || response.GetBail() {
		t.Fatal(response)
	}
	sdk := filepath.Join(project.folder, "node_modules/@pulumi/pulumi/cmd/run")
	expected := []string{
		"--trace-warnings", "--no-deprecation", sdk, "--monitor", "monitor:1", "--engine", "engine:1", "--organization", "organization",
		"--project", "project", "--root-directory", project.folder, "--stack", "dev", "--pwd", project.folder, "--parallel", "4",
		"--dry-run", "index.ts", "argument", `{"project:a":"b"}`, "[]", "true", "tsconfig.build.json",
	}
	if found := project.lines(t); !slices.Equal(found, expected) {
		t.Errorf("expected %q, found %q", expected, found)
	}
}

func TestTheResultOfAProgram(t *testing.T) {
	for _, test := range []struct{ script, err string }{
		{"exit 0", ""}, {"exit 32", "bail"}, {"exit 5", "program exited with non-zero exit code: 5"},
	} {
		project := newProject(t, test.script)
		response, err := project.host.Run(t.Context(), &pulumirpc.RunRequest{Info: project.info(t, nil)})
		providertest.Must(t, err)
		found := response.GetError()
		if response.GetBail() {
			found = "bail"
		}
		if found != test.err {
			t.Errorf("%s: expected %q, found %q", test.script, test.err, found)
		}
	}
}

func TestCancelInterruptsTheProgram(t *testing.T) {
	project := newProject(t, `trap 'exit 9' INT; touch `+"$OUT"+`; while :; do sleep 0.05; done`)
	go func() {
		for range 200 {
			if _, err := os.Stat(project.out); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		_, _ = project.host.Cancel(context.Background(), &emptypb.Empty{})
	}()
	response, err := project.host.Run(t.Context(), &pulumirpc.RunRequest{Info: project.info(t, nil)})
	providertest.Must(t, err)
	if response.GetError() != "program exited with non-zero exit code: 9" {
		t.Errorf("expected the program to end by SIGINT, found %q", response.GetError())
	}
}

func TestAMissingSDKIsReported(t *testing.T) {
	project := newProject(t, "exit 0")
	providertest.Must(t, os.RemoveAll(filepath.Join(project.folder, "node_modules")))
	response, err := project.host.Run(t.Context(), &pulumirpc.RunRequest{Info: project.info(t, nil)})
	providertest.Must(t, err)
	if expected := "expected @pulumi/pulumi in node_modules of " + project.folder; !strings.HasPrefix(response.GetError(), expected) {
		t.Errorf("expected %q, found %q", expected, response.GetError())
	}
}

func TestTheSDKIsFoundInAParentFolder(t *testing.T) {
	project := newProject(t, "exit 0")
	below := filepath.Join(project.folder, "a", "b")
	providertest.Must(t, os.MkdirAll(below, 0o700))
	found, err := FindSDKProgram(below, "run")
	if err != nil || found != filepath.Join(project.folder, "node_modules/@pulumi/pulumi/cmd/run") {
		t.Errorf("expected the parent's SDK, found %q %v", found, err)
	}
}

func TestUnknownRuntimeOptionsAreRefusedByName(t *testing.T) {
	for name, value := range map[string]any{
		"packagemanager": "pnpm", "nodeargs": `--title "a b"`, "typescript": "yes", "tsconfig": 1.0, "loader": "swc",
	} {
		_, err := parseOptions(map[string]any{name: value})
		if err == nil || !strings.HasPrefix(err.Error(), "runtime option "+name+" of Pulumi.yaml: ") {
			t.Errorf("%s: expected a refusal by name, found %v", name, err)
		}
	}
}

func TestRequiredPackagesAreTheProvidersInNodeModules(t *testing.T) {
	project := newProject(t, "exit 0")
	project.write(t, "node_modules/@pulumi/tls/package.json", `{"name": "@pulumi/tls", "version": "5.6.1",
		"pulumi": {"resource": true, "name": "tls"}}`)
	project.write(t, "node_modules/other/package.json", `{"name": "other", "version": "1.0.0",
		"pulumi": {"resource": true, "name": "x", "version": "v2.0.0", "server": "https://plugins.example"}}`)
	project.write(t, "node_modules/plain/package.json", `{"name": "plain", "version": "1.0.0"}`)
	response, err := project.host.GetRequiredPackages(t.Context(), &pulumirpc.GetRequiredPackagesRequest{Info: project.info(t, nil)})
	providertest.Must(t, err)
	var found []string
	for _, dependency := range response.GetPackages() {
		parts := []string{dependency.GetKind(), dependency.GetName(), dependency.GetVersion(), dependency.GetServer()}
		found = append(found, strings.Join(parts, " "))
	}
	slices.Sort(found)
	if expected := []string{"resource tls v5.6.1 ", "resource x v2.0.0 https://plugins.example"}; !slices.Equal(found, expected) {
		t.Errorf("expected %q, found %q", expected, found)
	}
}

func TestProgramDependenciesAreTheInstalledOnes(t *testing.T) {
	project := newProject(t, "exit 0")
	project.write(t, "package.json", `{"dependencies": {"plain": "^1.0.0", "missing": "1.0.0"}, "devDependencies": {"@a/b": "*"}}`)
	project.write(t, "node_modules/plain/package.json", `{"name": "plain", "version": "1.2.0"}`)
	project.write(t, "node_modules/@a/b/package.json", `{"name": "@a/b", "version": "3.0.0"}`)
	response, err := project.host.GetProgramDependencies(t.Context(), &pulumirpc.GetProgramDependenciesRequest{Info: project.info(t, nil)})
	providertest.Must(t, err)
	var found []string
	for _, dependency := range response.GetDependencies() {
		found = append(found, dependency.GetName()+" "+dependency.GetVersion())
	}
	if expected := []string{"@a/b 3.0.0", "plain 1.2.0"}; !slices.Equal(found, expected) {
		t.Errorf("expected %q, found %q", expected, found)
	}
}

func TestAComponentProviderSendsItsOutputAndExitCode(t *testing.T) {
	project := newProject(t, `printf '%s\n' "$2 $3 $A $(pwd)"; echo err >&2; exit 3`)
	stream, err := project.client(t).RunPlugin(t.Context(), &pulumirpc.RunPluginRequest{
		Info: project.info(t, nil), Pwd: project.folder, Args: []string{"engine:1"}, Env: []string{"A=1", "PATH=" + os.Getenv("PATH")},
	})
	providertest.Must(t, err)
	var stdout, stderr string
	code := int32(-1)
	for {
		response, err := stream.Recv()
		if err != nil {
			break
		}
		stdout += string(response.GetStdout())
		stderr += string(response.GetStderr())
		if exit, isExit := response.GetOutput().(*pulumirpc.RunPluginResponse_Exitcode); isExit {
			code = exit.Exitcode
		}
	}
	if expected := project.folder + " engine:1 1 " + project.folder + "\n"; stdout != expected || stderr != "err\n" || code != 3 {
		t.Errorf("expected %q, err and 3, found %q, %q and %d", expected, stdout, stderr, code)
	}
}

// project is a folder with a Pulumi SDK whose programs a shell script runs in place of Node.
type project struct {
	folder, out string
	host        *host
}

func newProject(t *testing.T, script string) *project {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	providertest.Must(t, err)
	running, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	project := &project{folder, filepath.Join(folder, "out"), &host{engine: "engine:1", running: running, cancel: cancel}}
	for _, program := range []string{"run", "run-plugin"} {
		project.write(t, filepath.Join("node_modules/@pulumi/pulumi/cmd", program), "")
	}
	project.write(t, "bin/node", "#!/bin/sh\nOUT="+project.out+"\n"+script+"\n")
	t.Setenv("PATH", filepath.Join(folder, "bin")+":"+os.Getenv("PATH"))
	return project
}

func (project *project) info(t *testing.T, options map[string]any) *pulumirpc.ProgramInfo {
	t.Helper()
	converted, err := structpb.NewStruct(options)
	providertest.Must(t, err)
	return &pulumirpc.ProgramInfo{
		RootDirectory: project.folder, ProgramDirectory: project.folder, EntryPoint: "index.ts", Options: converted,
	}
}

// client connects to the host over gRPC, for calls that stream.
func (project *project) client(t *testing.T) pulumirpc.LanguageRuntimeClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	providertest.Must(t, err)
	server := grpc.NewServer()
	pulumirpc.RegisterLanguageRuntimeServer(server, project.host)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	providertest.Must(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return pulumirpc.NewLanguageRuntimeClient(connection)
}

func (project *project) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(project.folder, name)
	providertest.Must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	providertest.Must(t, os.WriteFile(file, []byte(text), 0o700))
}

func (project *project) lines(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(project.out)
	providertest.Must(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
