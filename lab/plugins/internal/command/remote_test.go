package command

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"google.golang.org/protobuf/types/known/emptypb"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

const remoteCommand = "command:remote:Command"

func TestOutputsOfRemoteCommands(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server := startSSHServer(t)
	client := providertest.InProcess(t, Provider())
	answer := client.CreateResource(t, remoteCommand, provider.Values{
		"create": "cat; echo $LC_A; echo err >&2", "stdin": "in\n", "environment": object{"LC_A": "1"}, "logging": "stderr",
		"connection": server.connection(nil),
	})
	expected := provider.Values{"stdout": "in\n1", "stderr": "err", "error": "", "log": []string{"err"}}
	providertest.Same(t, "remote command", expected, provider.Values{
		"stdout": answer.Outputs["stdout"], "stderr": answer.Outputs["stderr"], "error": answer.Error, "log": answer.Log,
	})
}

func TestErrorsOfRemoteCommands(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server := startSSHServer(t)
	other, _ := newKey(t)
	client := providertest.InProcess(t, Provider())
	for name, test := range map[string]struct {
		inputs   provider.Values
		expected string
	}{
		"exit code": {
			provider.Values{"create": "echo said; exit 3"},
			"Process exited with status 3: running \"echo said; exit 3\":\nsaid\n",
		},
		"signal": {
			provider.Values{"create": "kill -9 $$"}, "Process exited with status 137 from signal KILL: running \"kill -9 $$\":\n",
		},
		"refused variable": {
			provider.Values{"environment": object{"SECRET": "1"}},
			`could not set environment variable "SECRET": ssh: setenv failed: ` +
				"allow it with AcceptEnv in sshd_config, or set it in the command itself",
		},
		"other host key": {
			provider.Values{"connection": server.connection(object{"hostKey": authorizedKey(other)})},
			"after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch",
		},
		"invalid host key": {
			provider.Values{"connection": server.connection(object{"hostKey": "ssh-ed25519 nonsense"})},
			"failed to parse host key: ssh: no key found; last parsing error for ignored line: ssh: short read",
		},
		"empty host key": {
			provider.Values{"connection": server.connection(object{"hostKey": ""})}, "failed to parse host key: ssh: no key found",
		},
		"no login": {
			provider.Values{"connection": server.connection(object{"privateKey": nil})},
			"after 1 failed attempts: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none], " +
				"no supported methods remain",
		},
		"unreachable agent": {
			provider.Values{"connection": server.connection(object{"agentSocketPath": "/no/such"})},
			"dial unix /no/such: connect: no such file or directory",
		},
	} {
		inputs := providertest.With(provider.Values{"create": "true", "connection": server.connection(nil)}, test.inputs)
		if answer := client.CreateResource(t, remoteCommand, inputs); answer.Error != test.expected {
			t.Errorf("%s: expected %q, found %q", name, test.expected, answer.Error)
		}
	}
}

func TestLoginsByPasswordEncryptedKeyAndAgent(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server := startSSHServer(t)
	client := providertest.InProcess(t, Provider())
	for name, changes := range map[string]provider.Values{
		"keyboard-interactive": {"privateKey": nil, "password": password},
		"encrypted key":        {"privateKey": encrypt(t, server.privateKey), "privateKeyPassword": password},
		"agent":                {"privateKey": nil, "agentSocketPath": startAgent(t, server.privateKey)},
		"no host key":          {"hostKey": nil},
	} {
		inputs := provider.Values{"create": "echo in", "connection": server.connection(changes)}
		if answer := client.CreateResource(t, remoteCommand, inputs); answer.Error != "" || answer.Outputs.String("stdout") != "in" {
			t.Errorf("%s: expected a login, found %q", name, answer.Error)
		}
	}
}

func TestAProxyLeadsToTheHostAndHasItsOwnLogin(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server, proxy := startSSHServer(t), startSSHServer(t)
	other, _ := newKey(t)
	client := providertest.InProcess(t, Provider())
	through := func(changes provider.Values) string {
		answer := client.CreateResource(t, remoteCommand, provider.Values{
			"create": "true", "connection": server.connection(object{"proxy": proxy.connection(changes)}),
		})
		return answer.Error
	}
	if message := through(nil); message != "" || proxy.dials.Load() != 1 || server.dials.Load() != 1 {
		t.Errorf("expected one connection to each, found %d and %d: %q", proxy.dials.Load(), server.dials.Load(), message)
	}
	for name, changes := range map[string]provider.Values{
		"other host key": {"hostKey": authorizedKey(other)},
		"other login":    {"privateKey": server.privateKey},
	} {
		if message := through(changes); !strings.HasPrefix(message, "proxy: ") || server.dials.Load() != 1 {
			t.Errorf("%s: expected a refusal by the proxy, found %q", name, message)
		}
	}
}

func TestDialsAreRepeatedUpToTheLimit(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server := startSSHServer(t)
	other, _ := newKey(t)
	client := providertest.InProcess(t, Provider())
	for _, limit := range []int{0, 2} {
		server.dials.Store(0)
		answer := client.CreateResource(t, remoteCommand, provider.Values{
			"create": "true", "connection": server.connection(object{"hostKey": authorizedKey(other), "dialErrorLimit": limit}),
		})
		if dials := server.dials.Load(); dials != int32(limit+1) || answer.Error == "" {
			t.Errorf("dialErrorLimit %d: expected %d attempts, found %d", limit, limit+1, dials)
		}
		if expected := []string{"Dial 1/2 failed: retrying", "Dial 2/2 failed: retrying"}[:limit]; !slices.Equal(answer.Log, expected) {
			t.Errorf("dialErrorLimit %d: expected %q, found %q", limit, expected, answer.Log)
		}
	}
}

func TestCancelEndsAnUnlimitedDial(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server := startSSHServer(t)
	client := providertest.InProcess(t, Provider())
	time.AfterFunc(200*time.Millisecond, func() { _, _ = client.Cancel(context.Background(), &emptypb.Empty{}) })
	answer := client.CreateResource(t, remoteCommand, provider.Values{
		"create": "true", "connection": server.connection(object{"port": 1, "dialErrorLimit": -1}),
	})
	if answer.Error != "context canceled" || !slices.Contains(answer.Log, "Dial 1/inf failed: retrying") {
		t.Errorf("expected a cancelled dial, found %q %q", answer.Error, answer.Log)
	}
}

func TestASilentHostIsGivenUpAfterPerDialTimeout(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	client := providertest.InProcess(t, Provider())
	answer := client.CreateResource(t, remoteCommand, provider.Values{"create": "true", "connection": object{
		"host": "127.0.0.1", "port": silentPort(t), "dialErrorLimit": 0, "perDialTimeout": 1,
	}})
	if !strings.HasSuffix(answer.Error, "i/o timeout") || answer.Took > 10*time.Second {
		t.Errorf("expected a timeout after a second, found %q after %v", answer.Error, answer.Took)
	}
}

func TestARefusedPreviousOutputIsAWarning(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server := startSSHServer(t)
	client := providertest.InProcess(t, Provider())
	before := provider.Values{"create": "echo out", "connection": server.connection(nil), "logging": "none"}
	state := client.CreateResource(t, remoteCommand, before).State
	for switched, expected := range map[any][]string{
		true:  {`WARNING ephemeral=false could not set environment variable "PULUMI_COMMAND_STDOUT": ssh: setenv failed`},
		false: nil,
	} {
		after := providertest.With(before, provider.Values{"update": "echo again", "addPreviousOutputInEnv": switched})
		answer := client.UpdateResource(t, remoteCommand, state, before, after)
		if answer.Outputs.String("stdout") != "again" || !slices.Equal(answer.Log, expected) {
			t.Errorf("addPreviousOutputInEnv %v: expected %q, found %q %s", switched, expected, answer.Log, answer.Error)
		}
	}
}

func TestRemoteDeleteUsesTheConnectionOfTheState(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server := startSSHServer(t)
	client := providertest.InProcess(t, Provider())
	state := client.CreateResource(t, remoteCommand, provider.Values{"delete": "exit 9", "connection": server.connection(nil)}).State
	if answer := client.DeleteResource(t, remoteCommand, state); !strings.HasPrefix(answer.Error, "Process exited with status 9") {
		t.Errorf("expected the command's exit code, found %q", answer.Error)
	}
}

func TestConnectionsAreClosedAfterTheCommand(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server := startSSHServer(t)
	client := providertest.InProcess(t, Provider())
	client.CreateResource(t, remoteCommand, provider.Values{"create": "true", "connection": server.connection(nil)})
	for deadline := time.Now().Add(5 * time.Second); server.open.Load() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("expected no open connection, found one after 5 s")
		}
	}
}

func encrypt(t *testing.T, privateKey string) string {
	t.Helper()
	key, err := ssh.ParseRawPrivateKey([]byte(privateKey))
	providertest.Must(t, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(password))
	providertest.Must(t, err)
	return string(pem.EncodeToMemory(block))
}

// startAgent returns the socket of an SSH agent that holds two keys.
func startAgent(t *testing.T, privateKey string) string {
	t.Helper()
	keyring := agent.NewKeyring()
	_, other, err := ed25519.GenerateKey(rand.Reader)
	providertest.Must(t, err)
	own, err := ssh.ParseRawPrivateKey([]byte(privateKey))
	providertest.Must(t, err)
	for _, key := range []any{&other, own} {
		providertest.Must(t, keyring.Add(agent.AddedKey{PrivateKey: key}))
	}
	socket := filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	providertest.Must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, connection) }()
		}
	}()
	return socket
}

// silentPort returns a port of 127.0.0.1 that answers no connection: the listener's queue is full.
func silentPort(t *testing.T) int {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	providertest.Must(t, err)
	t.Cleanup(func() { _ = syscall.Close(socket) })
	providertest.Must(t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	providertest.Must(t, syscall.Listen(socket, 0))
	bound, err := syscall.Getsockname(socket)
	providertest.Must(t, err)
	port := bound.(*syscall.SockaddrInet4).Port
	queued, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	providertest.Must(t, err)
	t.Cleanup(func() { _ = queued.Close() })
	return port
}
