package main

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestForwardedHeaders checks the headers that ingress-nginx forwards from a TLS-terminating proxy, depending on its ConfigMap.
func TestForwardedHeaders(t *testing.T) {
	const chain = "198.51.100.7, 10.0.0.5"
	sent := http.Header{
		"X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"443"}, "X-Forwarded-Host": {"public.lab"}, "X-Forwarded-For": {chain},
	}
	trusted := func(proxies string) map[string]string {
		return map[string]string{"use-forwarded-headers": "true", "proxy-real-ip-cidr": proxies}
	}
	for name, test := range map[string]struct {
		config map[string]string
		sent   http.Header
		want   []string // X-Forwarded-Proto, -Port, Host, X-Forwarded-For, X-Original-Forwarded-For
	}{
		"not trusted":         {nil, sent, []string{"http", "80", "rancher.lab", "10.0.0.9", chain}},
		"another word":        {map[string]string{"use-forwarded-headers": "1"}, sent, []string{"http", "80", "rancher.lab", "10.0.0.9", chain}},
		"trusted":             {trusted(""), sent, []string{"https", "443", "public.lab", "198.51.100.7", chain}},
		"trusted, none sent":  {trusted(""), nil, []string{"http", "80", "rancher.lab", "10.0.0.9", ""}},
		"known proxies":       {trusted("10.0.0.9/32"), sent, []string{"https", "443", "public.lab", "10.0.0.5", chain}},
		"from somewhere else": {trusted("192.0.2.0/24"), sent, []string{"https", "443", "public.lab", "10.0.0.9", chain}},
	} {
		t.Run(name, func(t *testing.T) {
			in := httptest.NewRequest(http.MethodGet, "http://rancher.lab/", nil)
			in.RemoteAddr, in.Header = "10.0.0.9:4711", test.sent
			out := http.Header{}
			host := forwardingOf(test.config).apply(in, out)
			got := []string{out.Get("X-Forwarded-Proto"), out.Get("X-Forwarded-Port"), host, out.Get("X-Forwarded-For")}
			if got = append(got, out.Get("X-Original-Forwarded-For")); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	table := exampleRoutes("nginx", true)
	for request, want := range map[[2]string]int32{
		{"rancher.lab", "/"}: 80, {"RANCHER.lab:80", "/v3"}: 80, {"any.wild.lab", "/"}: 80, {"a.any.wild.lab", "/"}: 0, {"other.lab", "/"}: 0,
		{"rancher.lab", "/exact"}: 81, {"rancher.lab", "/exact/not"}: 80, {"rancher.lab", "/element/of"}: 82, {"rancher.lab", "/elements"}: 80,
	} {
		location, found := table.find(request[0], request[1])
		if found != (want != 0) {
			t.Errorf("%v: found %v", request, found)
		} else if found && !reflect.DeepEqual(location.endpoints, []string{endpointAddress(exampleEndpoint(true), want)}) {
			t.Errorf("%v: endpoints %v, not those of port %d", request, location.endpoints, want)
		}
	}
}

func TestRoutesWithoutReadyEndpoint(t *testing.T) {
	if location, found := exampleRoutes("nginx", false).find("rancher.lab", "/"); !found || len(location.endpoints) != 0 {
		t.Errorf("found %v, endpoints %v; want the location without endpoints", found, location.endpoints)
	}
}

func TestRoutesOfAnotherController(t *testing.T) {
	if table := exampleRoutes("traefik", true); len(table) != 0 {
		t.Errorf("routes %v of an Ingress of another class", table)
	}
}

// TestBalancerPassesOn checks what ingress-nginx does when a pod ends while it has a request.
func TestBalancerPassesOn(t *testing.T) {
	ending := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer ending.Close()
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer well.Close()
	limits, err := limitsOf(nil)
	if err != nil {
		t.Fatal(err)
	}
	address := func(server *httptest.Server) string { return server.Listener.Addr().String() }
	for name, test := range map[string]struct {
		method    string
		endpoints []string
		want      int
	}{
		"a GET":                 {http.MethodGet, []string{address(ending), address(well)}, http.StatusNoContent},
		"a GET, three times":    {http.MethodGet, []string{address(ending), address(ending), address(ending), address(well)}, http.StatusBadGateway},
		"a POST, which is sent": {http.MethodPost, []string{address(ending), address(well)}, http.StatusBadGateway},
		"a POST, not yet sent":  {http.MethodPost, []string{"127.0.0.1:1", address(well)}, http.StatusNoContent},
	} {
		t.Run(name, func(t *testing.T) {
			ingress := newIngress()
			// The first request goes to the second endpoint of this list.
			endpoints := append(test.endpoints[len(test.endpoints)-1:], test.endpoints[:len(test.endpoints)-1]...)
			ingress.state.Store(&ingressState{routes: routes{"rancher.lab": {{path: "/", endpoints: endpoints, limits: limits}}}, limits: limits})
			answer := httptest.NewRecorder()
			ingress.ServeHTTP(answer, httptest.NewRequest(test.method, "http://rancher.lab/", nil))
			if answer.Code != test.want {
				t.Errorf("status %d, want %d", answer.Code, test.want)
			}
		})
	}
}

func exampleEndpoint(ready bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", UID: "a-pod"}}
}

func exampleRoutes(class string, ready bool) routes {
	meta := metav1.ObjectMeta{Namespace: "cattle-system", Name: "rancher", Labels: map[string]string{discoveryv1.LabelServiceName: "rancher"}}
	service := &corev1.Service{ObjectMeta: meta}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta, Endpoints: []discoveryv1.Endpoint{exampleEndpoint(ready)}}
	backend := func(path string, kind networkingv1.PathType, number int32) networkingv1.HTTPIngressPath {
		name := "port-" + path
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: name, Port: number})
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &name, Port: &number})
		reference := networkingv1.IngressServiceBackend{Name: "rancher", Port: networkingv1.ServiceBackendPort{Number: number}}
		return networkingv1.HTTPIngressPath{Path: path, PathType: &kind, Backend: networkingv1.IngressBackend{Service: &reference}}
	}
	http := networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{
		backend("/", networkingv1.PathTypeImplementationSpecific, 80),
		backend("/exact", networkingv1.PathTypeExact, 81),
		backend("/element", networkingv1.PathTypePrefix, 82),
	}}}
	classes := []*networkingv1.IngressClass{
		{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}, Spec: networkingv1.IngressClassSpec{Controller: controllerClass}},
		{ObjectMeta: metav1.ObjectMeta{Name: "traefik"}, Spec: networkingv1.IngressClassSpec{Controller: "traefik.io/ingress-controller"}},
	}
	rules := []networkingv1.IngressRule{{Host: "rancher.lab", IngressRuleValue: http}, {Host: "*.wild.lab", IngressRuleValue: http}}
	ingress := &networkingv1.Ingress{ObjectMeta: meta, Spec: networkingv1.IngressSpec{IngressClassName: &class, Rules: rules}}
	return routesOf(classes, []*networkingv1.Ingress{ingress}, []*corev1.Service{service}, []*discoveryv1.EndpointSlice{slice}, limits{})
}
