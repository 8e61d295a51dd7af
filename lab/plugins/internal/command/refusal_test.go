package command

import (
	"strings"
	"testing"

	"google.golang.org/grpc/status"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

const secret = "-----BEGIN OPENSSH PRIVATE KEY-----"

func TestWrongInputsAreRefusedByNameWithoutTheirValues(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	connection := func(changes provider.Values) object {
		return providertest.With(provider.Values{"host": "a", "privateKey": secret, "password": secret}, changes)
	}
	for name, test := range map[string]struct {
		token    string
		inputs   provider.Values
		expected string
	}{
		"unknown input": {
			localCommand, provider.Values{"assetPaths": []any{secret}},
			"assetPaths: expected one of addPreviousOutputInEnv,",
		},
		"unknown connection field": {
			remoteCommand, provider.Values{"connection": connection(object{"jump": object{"privateKey": secret}})},
			"connection.jump: expected one of agentSocketPath,",
		},
		"no connection": {remoteCommand, provider.Values{}, "connection: expected a value, found none"},
		"no host": {
			remoteCommand, provider.Values{"connection": connection(object{"host": nil})},
			"connection.host: expected a value, found none",
		},
		"text for a connection": {
			remoteCommand, provider.Values{"connection": secret},
			"connection: expected an object, found a string",
		},
		"text for a number": {
			remoteCommand, provider.Values{"connection": connection(object{"port": secret})},
			"connection.port: expected a number, found a string",
		},
		"number for a text": {localCommand, provider.Values{"create": 5}, "create: expected a string, found a number"},
		"number in an environment": {
			localCommand, provider.Values{"environment": object{"A": 5}},
			"environment.A: expected a string, found a number",
		},
		"item of an interpreter": {
			localCommand, provider.Values{"interpreter": []any{"a", true}},
			"interpreter[1]: expected a string, found a boolean",
		},
		"other logging": {
			localCommand, provider.Values{"logging": "all"},
			`logging: expected one of ["stdout" "stderr" "stdoutAndStderr" "none"], found "all"`,
		},
	} {
		failures := client.Failures(t, test.token, test.inputs)
		if len(failures) != 1 || !strings.HasPrefix(failures[0], test.expected) {
			t.Errorf("%s: expected %q, found %q", name, test.expected, failures)
		}
		if strings.Contains(strings.Join(failures, ""), secret) {
			t.Errorf("%s: expected no secret in %q", name, failures)
		}
	}
}

func TestUnknownValuesOfAPreviewAreAccepted(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	for _, inputs := range []provider.Values{
		{"connection": provider.Unknown, "logging": provider.Unknown, "environment": provider.Unknown, "triggers": provider.Unknown},
		{"connection": object{"host": provider.Unknown, "port": provider.Unknown}, "create": provider.Unknown},
	} {
		if failures := client.Failures(t, remoteCommand, inputs); failures != nil {
			t.Errorf("expected none, found %q", failures)
		}
	}
}

func TestAnInvalidPrivateKeyIsNotShown(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	answer := client.CreateResource(t, remoteCommand, provider.Values{
		"create": "true", "connection": object{"host": "127.0.0.1", "privateKey": secret, "privateKeyPassword": secret},
	})
	if answer.Error == "" || strings.Contains(answer.Error, secret) {
		t.Errorf("expected an error without the key, found %q", answer.Error)
	}
}

func TestUnknownTypesFunctionsAndImportsAreRefusedByName(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	_, unknownType := client.Check(t.Context(), &pulumirpc.CheckRequest{Type: "command:remote:CopyToRemote"})
	_, imported := client.Read(t.Context(), &pulumirpc.ReadRequest{Type: localCommand, Id: "one"})
	otherFunction, noInputs := client.Call(t, "command:local:other", nil), client.Call(t, localRun, nil)
	for found, expected := range map[string]string{
		status.Convert(unknownType).Message(): "expected one of command:local:Command, command:remote:Command, " +
			"found command:remote:CopyToRemote",
		status.Convert(imported).Message(): `command:local:Command "one": expected a resource of this stack, found an import or a get`,
		otherFunction.Error:                "expected one of command:local:run, found command:local:other",
		noInputs.Error:                     "command:local:run: command: expected a value, found none",
	} {
		if !strings.HasPrefix(found, expected) {
			t.Errorf("expected %q, found %q", expected, found)
		}
	}
}
