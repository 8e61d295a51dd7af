package main

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// forwarding holds the options of ingress-nginx's ConfigMap for forwarded headers.
type forwarding struct {
	trust   bool           // use-forwarded-headers
	proxies []netip.Prefix // proxy-real-ip-cidr: proxies whose X-Forwarded-For counts
}

var everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

func forwardingOf(config map[string]string) forwarding {
	f := forwarding{trust: config["use-forwarded-headers"] == "true", proxies: everywhere}
	if ranges := config["proxy-real-ip-cidr"]; ranges != "" {
		f.proxies = nil
		for _, text := range strings.Split(ranges, ",") {
			if prefix, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
				f.proxies = append(f.proxies, prefix)
			}
		}
	}
	return f
}

// apply sets in out the headers that ingress-nginx sends to a backend for the request in, and returns the Host header. The request arrived
// over HTTP on port 80. ingress-nginx trusts scheme, port and host from every client. proxy-real-ip-cidr limits only the client's address
// (rootfs/etc/nginx/lua/lua_ingress.lua and template/nginx.tmpl of kubernetes/ingress-nginx).
func (f forwarding) apply(in *http.Request, out http.Header) (host string) {
	client, _, _ := net.SplitHostPort(in.RemoteAddr)
	scheme, port, host := "http", "80", in.Host
	if f.trust {
		client = f.clientAddress(client, strings.Join(in.Header.Values("X-Forwarded-For"), ","))
		if value := in.Header.Get("X-Forwarded-Proto"); value != "" {
			scheme = value
		}
		if value := in.Header.Get("X-Forwarded-Port"); value != "" {
			port = value
		}
		if value, _, _ := strings.Cut(in.Header.Get("X-Forwarded-Host"), ","); value != "" {
			host = strings.TrimSpace(value)
		}
	}
	out.Set("X-Real-IP", client)
	out.Set("X-Forwarded-For", client)
	out.Set("X-Forwarded-Host", host)
	out.Set("X-Forwarded-Port", port)
	out.Set("X-Forwarded-Proto", scheme)
	out.Set("X-Forwarded-Scheme", scheme)
	out.Set("X-Scheme", scheme)
	out.Del("X-Original-Forwarded-For")
	if value := in.Header.Get("X-Forwarded-For"); value != "" {
		out.Set("X-Original-Forwarded-For", value)
	}
	out.Del("Proxy")
	return host
}

// clientAddress implements NGINX's real_ip_recursive: it returns, from the right, the first address that is not a known proxy's.
func (f forwarding) clientAddress(remote, forwardedFor string) string {
	client := remote
	hops := strings.Split(forwardedFor, ",")
	for i := len(hops) - 1; i >= 0 && f.isProxy(client); i-- {
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			break
		}
		client = hop
	}
	return client
}

func (f forwarding) isProxy(address string) bool {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, prefix := range f.proxies {
		if prefix.Contains(parsed.Unmap()) {
			return true
		}
	}
	return false
}
