package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rancher/remotedialer"
)

// agent is the tunnel of Rancher's cluster agent: its own client library, headers and retry interval. It dials only
// 127.0.0.1 for Rancher.
type agent struct {
	server, id, token, caFile, resolve string
	out                                io.Writer
}

func (a *agent) run(ctx context.Context) error {
	server, err := url.Parse(a.server)
	if err != nil || server.Scheme != "https" || server.Host == "" {
		return fmt.Errorf("--server is %q; an https:// URL is expected", a.server)
	}
	dialer, err := a.dialer()
	if err != nil {
		return err
	}
	var params agentParams
	params.Cluster.Name = a.id
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	headers := http.Header{tokenHeader: {a.token}, paramsHeader: {base64.StdEncoding.EncodeToString(text)}}
	local := func(proto, address string) bool {
		host, _, err := net.SplitHostPort(address)
		return err == nil && proto == "tcp" && host == "127.0.0.1"
	}
	for ctx.Err() == nil {
		var connected atomic.Bool
		err := remotedialer.ClientConnect(ctx, "wss://"+server.Host+"/v3/connect", headers, dialer, local,
			func(context.Context, *remotedialer.Session) error {
				connected.Store(true)
				fmt.Fprintln(a.out, "connected")
				return nil
			})
		if connected.Load() && ctx.Err() == nil {
			fmt.Fprintln(a.out, "disconnected:", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
	return nil
}

func (a *agent) dialer() (*websocket.Dialer, error) {
	config := &tls.Config{}
	if a.caFile != "" {
		pem, err := os.ReadFile(a.caFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--cacert %s holds no certificate in PEM form", a.caFile)
		}
	}
	dialer := &websocket.Dialer{HandshakeTimeout: remotedialer.HandshakeTimeOut, TLSClientConfig: config}
	if a.resolve != "" {
		parts := strings.SplitN(a.resolve, ":", 3)
		if len(parts) != 3 || net.ParseIP(parts[2]) == nil {
			return nil, fmt.Errorf("--resolve is %q; host:port:address is expected", a.resolve)
		}
		dialer.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == net.JoinHostPort(parts[0], parts[1]) {
				address = net.JoinHostPort(parts[2], parts[1])
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
	}
	return dialer, nil
}
