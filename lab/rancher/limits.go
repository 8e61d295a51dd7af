package main

import (
	"fmt"
	"log"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// limits are the sizes in bytes that ingress-nginx gives to its NGINX, and what it stores.
type limits struct {
	body          int64 // client_max_body_size; 0 means no limit
	headerBuffer  int64 // client_header_buffer_size
	largeBuffers  int64 // large_client_header_buffers: their number
	largeBuffer   int64 // large_client_header_buffers: the size of one
	responseStart int64 // proxy_buffer_size, which limits the header of an answer
	storesBodies  bool  // proxy_request_buffering: a backend gets a request once its whole body is here
}

// defaultLimits holds the controller's defaults (NewDefault in internal/ingress/controller/config/config.go of
// kubernetes/ingress-nginx, controller-v1.11.5).
var defaultLimits = map[string]string{
	"proxy-body-size":             "1m",
	"client-header-buffer-size":   "1k",
	"large-client-header-buffers": "4 8k",
	"proxy-buffer-size":           "4k",
}

// requestBuffering names an option that the controller switches on by default.
const requestBuffering = "proxy-request-buffering"

// limitsOf reads the ConfigMap. The controller writes the values into nginx.conf, where NGINX refuses an invalid size.
func limitsOf(config map[string]string) (limits, error) {
	options := maps.Clone(defaultLimits)
	for name := range options {
		if value := config[name]; value != "" {
			options[name] = value
		}
	}
	var l limits
	var number, size string
	if fields := strings.Fields(options["large-client-header-buffers"]); len(fields) == 2 {
		number, size = fields[0], fields[1]
	}
	for _, option := range []struct {
		name, text string
		target     *int64
	}{
		{"proxy-body-size", options["proxy-body-size"], &l.body},
		{"client-header-buffer-size", options["client-header-buffer-size"], &l.headerBuffer},
		{"large-client-header-buffers", number, &l.largeBuffers},
		{"large-client-header-buffers", size, &l.largeBuffer},
		{"proxy-buffer-size", options["proxy-buffer-size"], &l.responseStart},
	} {
		value, err := sizeOf(option.text)
		if err != nil {
			return limits{}, fmt.Errorf("ConfigMap ingress-nginx-controller: %s is %q: %w", option.name, options[option.name], err)
		}
		*option.target = value
	}
	l.storesBodies = config[requestBuffering] != "off"
	return l, nil
}

// forIngress applies the annotations of an Ingress. The controller ignores an annotation with an invalid size
// (internal/ingress/annotations/proxy/main.go and parser/validators.go).
func (l limits) forIngress(ingress *networkingv1.Ingress) limits {
	for name, target := range map[string]*int64{"proxy-body-size": &l.body, "proxy-buffer-size": &l.responseStart} {
		text := ingress.Annotations["nginx.ingress.kubernetes.io/"+name]
		if text == "" {
			continue
		}
		value, err := sizeOf(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			log.Printf("ingress: %s/%s: annotation %s is %q: %v", ingress.Namespace, ingress.Name, name, text, err)
			continue
		}
		*target = value
	}
	if text := ingress.Annotations["nginx.ingress.kubernetes.io/"+requestBuffering]; text == "on" || text == "off" {
		l.storesBodies = text == "on"
	}
	return l
}

var size = regexp.MustCompile(`^(\d+)([kmg]?)$`)

// sizeOf reads a size in NGINX's notation.
func sizeOf(text string) (int64, error) {
	parts := size.FindStringSubmatch(strings.ToLower(text))
	if parts == nil {
		return 0, fmt.Errorf("a size like 8k is expected")
	}
	value, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return 0, err
	}
	return value << map[string]int{"": 0, "k": 10, "m": 20, "g": 30}[parts[2]], nil
}

// statusOfHeader returns NGINX's status for a request whose header exceeds the buffers, or 0. NGINX never spreads a line over two buffers
// (ngx_http_alloc_large_header_buffer in src/http/ngx_http_request.c). Here the lines are placed in order of their names, and in NGINX as
// they arrive.
func (l limits) statusOfHeader(r *http.Request) int {
	room, left := l.headerBuffer, l.largeBuffers
	fits := func(line string) bool {
		length := int64(len(line) + len("\r\n"))
		if length > room {
			if length > l.largeBuffer || left == 0 {
				return false
			}
			left, room = left-1, l.largeBuffer
		}
		room -= length
		return true
	}
	if !fits(r.Method + " " + r.RequestURI + " " + r.Proto) {
		return http.StatusRequestURITooLong
	}
	lines := append([]string{"Host: " + r.Host}, headerLines(r.Header)...)
	if slices.ContainsFunc(append(lines, ""), func(line string) bool { return !fits(line) }) {
		return http.StatusBadRequest
	}
	return 0
}

// isTooLong reports whether the header of an answer exceeds NGINX's buffer.
func (l limits) isTooLong(response *http.Response) bool {
	lines := append([]string{response.Proto + " " + response.Status, ""}, headerLines(response.Header)...)
	for _, encoding := range response.TransferEncoding {
		lines = append(lines, "Transfer-Encoding: "+encoding)
	}
	length := 0
	for _, line := range lines {
		length += len(line) + len("\r\n")
	}
	return int64(length) > l.responseStart
}

func headerLines(header http.Header) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			lines = append(lines, name+": "+value)
		}
	}
	return lines
}
