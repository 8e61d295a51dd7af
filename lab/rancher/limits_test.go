package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestLimits checks the limits of ingress-nginx for clients and backends. Every refused size is listed beside the largest accepted one.
func TestLimits(t *testing.T) {
	annotated := func(name, value string) map[string]string {
		return map[string]string{"nginx.ingress.kubernetes.io/" + name: value}
	}
	header := func(length int) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Token", strings.Repeat("t", length)) }
	}
	path := func(length int) func(*http.Request) {
		return func(r *http.Request) { r.URL.Path = "/" + strings.Repeat("p", length) }
	}
	body := func(length int) func(*http.Request) {
		return func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(strings.Repeat("b", length))), int64(length)
		}
	}
	chunked := func(length int) func(*http.Request) {
		return func(r *http.Request) { body(length)(r); r.ContentLength = -1 }
	}
	answer := func(length int) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = fmt.Sprintf("header=%d", length) }
	}
	for name, test := range map[string]struct {
		config, annotations map[string]string
		change              func(*http.Request)
		want                int
	}{
		"a body of 1 MB":                       {nil, nil, body(1 << 20), 200},
		"a larger body":                        {nil, nil, body(1<<20 + 1), 413},
		"a larger body of unknown length":      {nil, nil, chunked(1<<20 + 1), 413},
		"by the ConfigMap":                     {map[string]string{"proxy-body-size": "2m"}, nil, body(2 << 20), 200},
		"by the annotation":                    {map[string]string{"proxy-body-size": "2m"}, annotated("proxy-body-size", "3 M"), body(3 << 20), 200},
		"by an annotation that is no size":     {nil, annotated("proxy-body-size", "much"), body(1<<20 + 1), 413},
		"without a limit":                      {nil, annotated("proxy-body-size", "0"), chunked(4 << 20), 200},
		"a header line of nearly 8 kB":         {nil, nil, header(8<<10 - 11), 200},
		"a longer header line":                 {nil, nil, header(8<<10 - 10), 400},
		"a longer header line, larger buffers": {map[string]string{"large-client-header-buffers": "4 64k"}, nil, header(60 << 10), 200},
		"a request line of nearly 8 kB":        {nil, nil, path(8<<10 - 17), 200},
		"a longer request line":                {nil, nil, path(8 << 10), 414},
		"an answer's header of nearly 4 kB":    {nil, nil, answer(3800), 200},
		"an answer's longer header":            {nil, nil, answer(4 << 10), 502},
		"an answer's longer header, allowed":   {nil, annotated("proxy-buffer-size", "16k"), answer(9 << 10), 200},
	} {
		t.Run(name, func(t *testing.T) {
			ingress := startTestIngress(t, test.config, test.annotations)
			request, err := http.NewRequest(http.MethodGet, ingress.URL+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			test.change(request)
			response, err := ingress.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("got %d, want %d", response.StatusCode, test.want)
			}
		})
	}
}

// TestStorageOfBodies checks whether a backend gets a request before the body has ended.
func TestStorageOfBodies(t *testing.T) {
	off := map[string]string{"proxy-request-buffering": "off"}
	annotated := func(value string) map[string]string {
		return map[string]string{"nginx.ingress.kubernetes.io/proxy-request-buffering": value}
	}
	for name, test := range map[string]struct {
		config, annotations map[string]string
		stores              bool
	}{
		"by default":                      {nil, nil, true},
		"by the ConfigMap":                {off, nil, false},
		"by the annotation":               {nil, annotated("off"), false},
		"by the annotation of an Ingress": {off, annotated("on"), true},
		"by an annotation of no sense":    {off, annotated("maybe"), false},
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan struct{})
			ingress := startIngressOf(t, test.config, test.annotations, func(_ http.ResponseWriter, r *http.Request) {
				close(arrived)
				if body, _ := io.ReadAll(r.Body); string(body) != "begun, ended" {
					t.Errorf("the backend got %q", body)
				}
			})
			body, sender := io.Pipe()
			answered := make(chan error)
			go func() {
				response, err := ingress.Client().Post(ingress.URL+"/", "text/plain", body)
				if err == nil {
					response.Body.Close()
				}
				answered <- err
			}()
			fmt.Fprint(sender, "begun")
			wait := 10 * time.Second
			if test.stores {
				wait = 200 * time.Millisecond
			}
			select {
			case <-arrived:
				if test.stores {
					t.Error("the backend got the request before the body had ended")
				}
			case <-time.After(wait):
				if !test.stores {
					t.Error("the backend did not get the request before the body had ended")
				}
			}
			fmt.Fprint(sender, ", ended")
			sender.Close()
			if err := <-answered; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestManyHeaderLines(t *testing.T) {
	defaults, err := limitsOf(nil)
	if err != nil {
		t.Fatal(err)
	}
	for lines, want := range map[int]int{4: 0, 5: http.StatusBadRequest} {
		r := httptest.NewRequest(http.MethodGet, "http://rancher.lab/", nil)
		for i := range lines {
			r.Header.Set(fmt.Sprintf("X-%d", i), strings.Repeat("v", 8000))
		}
		if got := defaults.statusOfHeader(r); got != want {
			t.Errorf("%d lines of 8 kB: got %d, want %d", lines, got, want)
		}
	}
}

func TestLimitsThatNginxRefuses(t *testing.T) {
	for name, value := range map[string]string{
		"proxy-body-size": "1 MB", "client-header-buffer-size": "big", "large-client-header-buffers": "8k", "proxy-buffer-size": "-1",
	} {
		if _, err := limitsOf(map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %s: error %v does not name it", name, value, err)
		}
	}
}

// startTestIngress serves one Ingress. Its backend reads the body and answers with a header of the requested length.
func startTestIngress(t *testing.T, config, annotations map[string]string) *httptest.Server {
	return startIngressOf(t, config, annotations, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		var length int
		fmt.Sscanf(r.URL.RawQuery, "header=%d", &length)
		w.Header().Set("Location", strings.Repeat("l", length))
	})
}

func startIngressOf(t *testing.T, config, annotations map[string]string, handler http.HandlerFunc) *httptest.Server {
	backend := httptest.NewServer(handler)
	t.Cleanup(backend.Close)
	defaults, err := limitsOf(config)
	if err != nil {
		t.Fatal(err)
	}
	own := defaults.forIngress(&networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}})
	served := location{path: "/", endpoints: []string{backend.Listener.Addr().String()}, limits: own}
	ingress := newIngress()
	ingress.state.Store(&ingressState{routes: routes{"": {served}}, limits: defaults})
	server := httptest.NewServer(ingress)
	t.Cleanup(server.Close)
	return server
}
