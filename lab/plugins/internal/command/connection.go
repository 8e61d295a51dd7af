package command

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// loginFields are the fields of a connection and of its proxy.
var loginFields = provider.Fields{
	"host":               provider.Required(provider.String),
	"port":               provider.Number,
	"user":               provider.String,
	"password":           provider.String,
	"privateKey":         provider.String,
	"privateKeyPassword": provider.String,
	"agentSocketPath":    provider.String,
	"hostKey":            provider.String,
	"dialErrorLimit":     provider.Number,
	"perDialTimeout":     provider.Number,
}

var connectionFields = join(loginFields, provider.Fields{"proxy": provider.Object(loginFields)})

// clientConfig returns the SSH client's configuration. The caller closes the agent after the handshake.
func clientConfig(connection provider.Values) (config *ssh.ClientConfig, closeAgent func(), err error) {
	config = &ssh.ClientConfig{
		User:            cmp.Or(connection.String("user"), "root"),
		Timeout:         time.Duration(intOr(connection, "perDialTimeout", 15)) * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}
	if connection.Has("hostKey") {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(connection.String("hostKey")))
		if err != nil {
			return nil, nil, fmt.Errorf("failed to parse host key: %w", err)
		}
		config.HostKeyCallback = ssh.FixedHostKey(key)
		// A host with several keys must present this one.
		config.HostKeyAlgorithms = []string{key.Type()}
	}
	if connection.Has("privateKey") {
		key, err := parsePrivateKey(connection)
		if err != nil {
			return nil, nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(key))
	}
	if connection.Has("password") {
		password := connection.String("password")
		config.Auth = append(config.Auth, ssh.Password(password), ssh.KeyboardInteractive(answerAll(password)))
	}
	socket := cmp.Or(connection.String("agentSocketPath"), os.Getenv("SSH_AUTH_SOCK"))
	if socket == "" {
		return config, func() {}, nil
	}
	connected, err := net.Dial("unix", socket)
	if err != nil {
		return nil, nil, err
	}
	config.Auth = append(config.Auth, ssh.PublicKeysCallback(agent.NewClient(connected).Signers))
	return config, func() { _ = connected.Close() }, nil
}

func parsePrivateKey(connection provider.Values) (ssh.Signer, error) {
	key := []byte(connection.String("privateKey"))
	if connection.Has("privateKeyPassword") {
		return ssh.ParsePrivateKeyWithPassphrase(key, []byte(connection.String("privateKeyPassword")))
	}
	return ssh.ParsePrivateKey(key)
}

// answerAll answers every question of a keyboard-interactive login with the password.
func answerAll(password string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, _ []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range answers {
			answers[i] = password
		}
		return answers, nil
	}
}
