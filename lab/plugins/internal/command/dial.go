package command

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// Waits between two dial attempts grow by half from the first to the longest.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
)

// dial connects to a host. It repeats every failed attempt until dialErrorLimit, also after a wrong host key.
//
// As in the real provider, perDialTimeout limits the TCP connection alone. An sshd that accepts and never answers blocks the command.
func dial(ctx context.Context, call provider.Call, connection provider.Values) (*ssh.Client, error) {
	config, closeAgent, err := clientConfig(connection)
	if err != nil {
		return nil, err
	}
	defer closeAgent()
	address := net.JoinHostPort(connection.String("host"), strconv.Itoa(intOr(connection, "port", 22)))
	limit := intOr(connection, "dialErrorLimit", 10)
	limitText := strconv.Itoa(limit)
	if limit < 0 {
		limitText = "inf"
	}
	wait := firstWait
	for failed := 0; ; failed++ {
		client, err := ssh.Dial("tcp", address, config)
		if err == nil {
			return client, nil
		}
		if limit >= 0 && failed >= limit {
			return nil, fmt.Errorf("after %d failed attempts: %w", failed, err)
		}
		call.Log(fmt.Sprintf("Dial %d/%s failed: retrying", failed+1, limitText))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
			wait = min(wait*3/2, longestWait)
		}
	}
}

func intOr(values provider.Values, key string, otherwise int) int {
	if values.Has(key) {
		return values.Int(key)
	}
	return otherwise
}
