package command

import (
	"context"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

// The tests in this file compare the stand-in with the real provider. They skip without PULUMI_PLUGINS.

func TestOracleLocalCommandsAnswerAlike(t *testing.T) {
	real, own := providertest.Both(t, "command", Provider())
	base := provider.Values{"create": "echo out; echo err >&2; cat", "stdin": "in\n\n", "triggers": []any{"a"}}
	for name, changes := range map[string]provider.Values{
		"plain":            {},
		"logging none":     {"logging": "none"},
		"logging stdout":   {"logging": "stdout"},
		"logging stderr":   {"logging": "stderr"},
		"no newline":       {"create": "printf a; sleep 0.2; printf b >&2"},
		"no command":       {"create": nil},
		"no stdin":         {"stdin": nil, "create": "cat"},
		"failing":          {"create": "echo 'said \"this\"'; exit 3"},
		"killed":           {"create": "kill -9 $$"},
		"interpreter":      {"interpreter": []any{"/bin/sh", "-c", "echo $0 $1", "x"}},
		"wrong program":    {"interpreter": []any{"/no/such"}},
		"wrong folder":     {"dir": "/no/such"},
		"folder":           {"dir": "/", "create": "pwd"},
		"environment":      {"environment": object{"A": "1", "B": "2"}, "create": "echo $A $B"},
		"unread stdin":     {"stdin": strings.Repeat("x", 1<<20), "create": "exit 0"},
		"unread, failing":  {"stdin": strings.Repeat("x", 1<<20), "create": "exit 4"},
		"line over 60 KiB": {"create": "head -c 61440 /dev/zero | tr '\\0' x"},
		"longest line":     {"create": "head -c 65535 /dev/zero | tr '\\0' x"},
	} {
		inputs := providertest.With(base, changes)
		providertest.Same(t, name,
			real.CreateResource(t, localCommand, inputs).Comparable(), own.CreateResource(t, localCommand, inputs).Comparable())
	}
	providertest.Same(t, "preview", real.PreviewCreate(t, localCommand, base).Outputs, own.PreviewCreate(t, localCommand, base).Outputs)
}

func TestOracleLocalCommandsChangeAlike(t *testing.T) {
	real, own := providertest.Both(t, "command", Provider())
	// Input ends in a newline, because both providers log an unfinished line and the other stream's next line as one.
	before := provider.Values{"create": "echo out; echo err >&2; cat", "stdin": "in\n\n", "triggers": []any{"a"}}
	realState, ownState := real.CreateResource(t, localCommand, before).State, own.CreateResource(t, localCommand, before).State
	for name, changes := range map[string]provider.Values{
		"nothing":        {},
		"stdin":          {"stdin": "other\n"},
		"create":         {"create": "echo new"},
		"update":         {"update": "echo $PULUMI_COMMAND_STDOUT - $PULUMI_COMMAND_STDERR"},
		"update alone":   {"update": "echo $PULUMI_COMMAND_STDOUT -", "addPreviousOutputInEnv": false},
		"update to fail": {"update": "echo said; exit 5"},
		"delete":         {"delete": "echo gone"},
		"logging":        {"logging": "none"},
		"removed stdin":  {"stdin": nil},
	} {
		after := providertest.With(before, changes)
		providertest.Same(t, "steps of "+name,
			real.Steps(t, localCommand, realState, before, after), own.Steps(t, localCommand, ownState, before, after))
		providertest.Same(t, "preview of "+name,
			real.PreviewUpdate(t, localCommand, realState, before, after).Comparable(),
			own.PreviewUpdate(t, localCommand, ownState, before, after).Comparable())
		providertest.Same(t, "update of "+name,
			real.UpdateResource(t, localCommand, realState, before, after).Comparable(),
			own.UpdateResource(t, localCommand, ownState, before, after).Comparable())
	}
	// The SDK's class replaces the resource when one item of triggers changes. So only whole triggers are compared.
	after := providertest.With(before, provider.Values{"triggers": nil})
	providertest.Same(t, "steps of removed triggers",
		real.Steps(t, localCommand, realState, before, after), own.Steps(t, localCommand, ownState, before, after))
	for _, command := range []string{"echo gone $PULUMI_COMMAND_STDOUT >&2", "exit 6"} {
		remove := func(client *providertest.Client) string {
			state := client.CreateResource(t, localCommand, providertest.With(before, provider.Values{"delete": command})).State
			return client.DeleteResource(t, localCommand, state).Error
		}
		providertest.Same(t, "delete by "+command, remove(real), remove(own))
	}
}

func TestOracleCancelAndTimeoutEndCommandsAlike(t *testing.T) {
	real, own := providertest.Both(t, "command", Provider())
	inTime := func(client *providertest.Client) string {
		return client.CreateWithin(t, localCommand, provider.Values{"create": "exec sleep 3"}, time.Second).Error
	}
	providertest.Same(t, "timeout", inTime(real), inTime(own))
	cancelled := func(client *providertest.Client) []any {
		time.AfterFunc(500*time.Millisecond, func() { _, _ = client.Cancel(context.Background(), &emptypb.Empty{}) })
		answer := client.CreateResource(t, localCommand, provider.Values{"create": "echo begun; sleep 2; echo over"})
		return []any{answer.Comparable(), answer.Took.Round(time.Second).String()}
	}
	providertest.Same(t, "cancel", cancelled(real), cancelled(own))
}

func TestOracleLocalRunAnswersAlike(t *testing.T) {
	real, own := providertest.Both(t, "command", Provider())
	for name, inputs := range map[string]provider.Values{
		"plain":   {"command": "echo out; echo err >&2; cat", "stdin": "in", "logging": "none"},
		"logged":  {"command": "echo out; echo err >&2"},
		"failing": {"command": "echo out; exit 7"},
	} {
		providertest.Same(t, name, real.Call(t, localRun, inputs).Comparable(), own.Call(t, localRun, inputs).Comparable())
	}
}

func TestOracleRemoteCommandsAnswerAlike(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	real, own := providertest.Both(t, "command", Provider())
	server := startSSHServer(t)
	other, _ := newKey(t)
	base := provider.Values{"create": "echo out; echo err >&2; cat", "stdin": "in\n", "connection": server.connection(nil)}
	for name, changes := range map[string]provider.Values{
		"plain":                {},
		"logging stderr":       {"logging": "stderr"},
		"failing":              {"create": "echo 'said \"this\"'; exit 3"},
		"killed":               {"create": "kill -9 $$"},
		"environment":          {"environment": object{"LC_A": "1"}, "create": "echo $LC_A"},
		"other host key":       {"connection": server.connection(object{"hostKey": authorizedKey(other)})},
		"no host key":          {"connection": server.connection(object{"hostKey": nil})},
		"proxy":                {"connection": server.connection(object{"proxy": server.connection(nil)})},
		"empty host key":       {"connection": server.connection(object{"hostKey": ""})},
		"wrong host key":       {"connection": server.connection(object{"hostKey": "ssh-ed25519 nonsense"})},
		"wrong private key":    {"connection": server.connection(object{"privateKey": "nonsense"})},
		"no login":             {"connection": server.connection(object{"privateKey": nil})},
		"keyboard-interactive": {"connection": server.connection(object{"privateKey": nil, "password": password})},
		"encrypted key": {"connection": server.connection(object{
			"privateKey": encrypt(t, server.privateKey), "privateKeyPassword": password,
		})},
		"unreachable agent": {"connection": server.connection(object{"agentSocketPath": "/no/such"})},
		"refused port":      {"connection": server.connection(object{"port": closedPort(t)})},
		"silent port":       {"connection": server.connection(object{"port": silentPort(t), "perDialTimeout": 1})},
	} {
		inputs := providertest.With(base, changes)
		providertest.Same(t, name,
			comparableRemote(real.CreateResource(t, remoteCommand, inputs)), comparableRemote(own.CreateResource(t, remoteCommand, inputs)))
	}
	// The stand-in's error names the remedy after the real provider's text.
	inputs := providertest.With(base, provider.Values{"environment": object{"FORBIDDEN": "1"}})
	realError, ownError := real.CreateResource(t, remoteCommand, inputs).Error, own.CreateResource(t, remoteCommand, inputs).Error
	if !strings.HasPrefix(ownError, realError) {
		t.Errorf("refused variable: expected %q, found %q", realError, ownError)
	}
}

func TestOracleRemoteCommandsChangeAlike(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	real, own := providertest.Both(t, "command", Provider())
	server := startSSHServer(t)
	// The command reads its standard input. With unread input both providers fail now and then with EOF.
	before := provider.Values{"create": "cat; echo out", "connection": server.connection(nil)}
	states := map[*providertest.Client]*structpb.Struct{}
	for _, client := range []*providertest.Client{real, own} {
		states[client] = client.CreateResource(t, remoteCommand, before).State
	}
	for name, changes := range map[string]provider.Values{
		"nothing":    {},
		"stdin":      {"stdin": "other"},
		"connection": {"connection": server.connection(object{"perDialTimeout": 5})},
		"update":     {"update": "cat; echo new", "addPreviousOutputInEnv": false},
	} {
		after := providertest.With(before, changes)
		answers := func(client *providertest.Client) []any {
			update := client.UpdateResource(t, remoteCommand, states[client], before, after)
			return []any{
				client.Steps(t, remoteCommand, states[client], before, after),
				client.PreviewUpdate(t, remoteCommand, states[client], before, after).Outputs,
				update.Outputs, update.Error,
			}
		}
		providertest.Same(t, name, answers(real), answers(own))
	}
}

// comparableRemote removes addresses that differ between two dials.
func comparableRemote(answer providertest.Answer) providertest.Answer {
	answer = answer.Comparable()
	answer.Error = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(answer.Error, "ADDRESS")
	return answer
}

func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	providertest.Must(t, err)
	providertest.Must(t, listener.Close())
	return listener.Addr().(*net.TCPAddr).Port
}
