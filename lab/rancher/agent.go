package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rancher/remotedialer"
)

// agent stands in for the tunnel of Rancher's cluster agent. It uses the real agent's client library, headers and retry interval. Rancher
// can dial only 127.0.0.1 through it.
type agent struct {
	server, id, token, caChecksum, resolve string
	out                                    io.Writer
}

func (a *agent) run(ctx context.Context) error {
	server, err := url.Parse(a.server)
	if err != nil || server.Scheme != "https" || server.Host == "" {
		return fmt.Errorf("--server is %q; an https:// URL is expected", a.server)
	}
	dialer, err := a.dialer(server)
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

func (a *agent) dialer(server *url.URL) (*websocket.Dialer, error) {
	dialer := &websocket.Dialer{HandshakeTimeout: remotedialer.HandshakeTimeOut, TLSClientConfig: &tls.Config{}}
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
	if a.caChecksum != "" {
		roots, err := a.serverCA(server, dialer.NetDialContext)
		if err != nil {
			return nil, err
		}
		dialer.TLSClientConfig.RootCAs = roots
	}
	return dialer, nil
}

// serverCA reads the CA that Rancher gives its agents over an unverified connection, and refuses a CA with another checksum. The real agent
// does the same at every start, and exits with these messages (package/run.sh of rancher/rancher).
func (a *agent) serverCA(server *url.URL, dial func(context.Context, string, string) (net.Conn, error)) (*x509.CertPool, error) {
	address := server.Scheme + "://" + server.Host + "/v3/settings/cacerts"
	transport := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get(address)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var setting struct{ Value string }
	if err := json.NewDecoder(response.Body).Decode(&setting); err != nil || setting.Value == "" {
		return nil, fmt.Errorf("The environment variable CATTLE_CA_CHECKSUM is set but there is no CA certificate configured at %s", address)
	}
	// jq ends the value with a newline.
	if found := fmt.Sprintf("%x", sha256.Sum256([]byte(setting.Value+"\n"))); found != a.caChecksum {
		return nil, fmt.Errorf("Configured cacerts checksum (%s) does not match given --ca-checksum (%s)", found, a.caChecksum)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(setting.Value)) {
		return nil, fmt.Errorf("Value from %s does not look like an x509 certificate", address)
	}
	return roots, nil
}
