package command

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

const password = "correct horse"

// sshServer runs commands with /bin/sh, as sshd does. It accepts environment variables LC_*, as Debian's sshd does.
type sshServer struct {
	address    *net.TCPAddr
	hostKey    ssh.Signer
	privateKey string
	// dials counts connections, open the connections that are not closed.
	dials, open atomic.Int32
}

func startSSHServer(t *testing.T) *sshServer {
	t.Helper()
	hostKey, _ := newKey(t)
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	providertest.Must(t, err)
	otherHostKey, err := ssh.NewSignerFromKey(ecdsaKey)
	providertest.Must(t, err)
	userKey, userPEM := newKey(t)
	server := &sshServer{hostKey: hostKey, privateKey: userPEM}
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), userKey.PublicKey().Marshal()) {
				return nil, errors.New("another key")
			}
			return nil, nil
		},
		KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil || answers[0] != password {
				return nil, errors.New("another password")
			}
			return nil, nil
		},
	}
	config.AddHostKey(otherHostKey)
	config.AddHostKey(hostKey)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	providertest.Must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	server.address = listener.Addr().(*net.TCPAddr)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			server.dials.Add(1)
			server.open.Add(1)
			go server.answer(connection, config)
		}
	}()
	return server
}

// connection returns a `connection` for this server, with changes. One failed attempt is allowed.
func (server *sshServer) connection(changes provider.Values) map[string]any {
	return providertest.With(provider.Values{
		"host": "127.0.0.1", "port": server.address.Port, "user": "admin", "privateKey": server.privateKey,
		"hostKey": authorizedKey(server.hostKey), "dialErrorLimit": 1, "perDialTimeout": 3,
	}, changes)
}

func (server *sshServer) answer(connection net.Conn, config *ssh.ServerConfig) {
	defer server.open.Add(-1)
	defer connection.Close()
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		if offered.ChannelType() == "direct-tcpip" {
			go forward(channel, requests, offered.ExtraData())
			continue
		}
		go runSession(channel, requests)
	}
}

// forward connects a channel with the address that the client named.
func forward(channel ssh.Channel, requests <-chan *ssh.Request, data []byte) {
	defer channel.Close()
	go ssh.DiscardRequests(requests)
	var target struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	if ssh.Unmarshal(data, &target) != nil {
		return
	}
	connection, err := net.Dial("tcp", net.JoinHostPort(target.Host, strconv.Itoa(int(target.Port))))
	if err != nil {
		return
	}
	defer connection.Close()
	go func() {
		_, _ = io.Copy(connection, channel)
		_ = connection.Close()
	}()
	_, _ = io.Copy(channel, connection)
}

func runSession(channel ssh.Channel, requests <-chan *ssh.Request) {
	var environment []string
	for request := range requests {
		switch request.Type {
		case "env":
			var variable struct{ Name, Value string }
			accepted := ssh.Unmarshal(request.Payload, &variable) == nil && strings.HasPrefix(variable.Name, "LC_")
			if accepted {
				environment = append(environment, variable.Name+"="+variable.Value)
			}
			_ = request.Reply(accepted, nil)
		case "exec":
			var command struct{ Text string }
			_ = request.Reply(ssh.Unmarshal(request.Payload, &command) == nil, nil)
			// Requests must still be read, so that the channel does not block.
			go ssh.DiscardRequests(requests)
			execute(channel, command.Text, environment)
			return
		default:
			_ = request.Reply(false, nil)
		}
	}
}

func execute(channel ssh.Channel, command string, environment []string) {
	defer channel.Close()
	shell := exec.Command("/bin/sh", "-c", command)
	shell.Env = environment
	shell.Stdout, shell.Stderr = channel, channel.Stderr()
	stdin, err := shell.StdinPipe()
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(stdin, channel)
		_ = stdin.Close()
	}()
	if err := shell.Run(); shell.ProcessState == nil {
		_, _ = channel.Stderr().Write([]byte(err.Error()))
		return
	}
	status := shell.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		signal := map[syscall.Signal]string{syscall.SIGKILL: "KILL", syscall.SIGTERM: "TERM"}[status.Signal()]
		_, _ = channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal          string
			Core            bool
			Error, Language string
		}{Signal: signal}))
		return
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status.ExitStatus())}))
}

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	providertest.Must(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	providertest.Must(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	providertest.Must(t, err)
	return signer, string(pem.EncodeToMemory(block))
}

func authorizedKey(key ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
}
