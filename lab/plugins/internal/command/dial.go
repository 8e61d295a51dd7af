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

// dial connects to a host, through its proxy if it has one. The caller closes the client.
func dial(ctx context.Context, call provider.Call, connection provider.Values) (*ssh.Client, error) {
	if !connection.Has("proxy") {
		return dialFrom(ctx, call, connection, nil)
	}
	proxy, err := dialFrom(ctx, call, connection.Object("proxy"), nil)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	client, err := dialFrom(ctx, call, connection, proxy)
	if err != nil {
		_ = proxy.Close()
		return nil, fmt.Errorf("proxy: %w", err)
	}
	go func() {
		_ = client.Wait()
		_ = proxy.Close()
	}()
	return client, nil
}

// dialFrom connects to a host from a proxy, or from this machine without one. It repeats every failed attempt until dialErrorLimit,
// also after a wrong host key.
//
// As in the real provider, perDialTimeout limits the TCP connection from this machine alone. An sshd that accepts and never answers
// blocks the command.
func dialFrom(ctx context.Context, call provider.Call, connection provider.Values, proxy *ssh.Client) (*ssh.Client, error) {
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
		client, err := handshake(proxy, address, config)
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

func handshake(proxy *ssh.Client, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	if proxy == nil {
		return ssh.Dial("tcp", address, config)
	}
	connection, err := proxy.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	session, channels, requests, err := ssh.NewClientConn(connection, address, config)
	if err != nil {
		_ = connection.Close()
		return nil, err
	}
	return ssh.NewClient(session, channels, requests), nil
}

func intOr(values provider.Values, key string, otherwise int) int {
	if values.Has(key) {
		return values.Int(key)
	}
	return otherwise
}
