package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

// ingressStandIn stands in for ingress-nginx. It serves the Ingress objects over HTTP, and keeps ingress-nginx's contract with proxies in
// front of it and backends behind it. It has no HTTPS port. It knows only the annotations of limits.go.
type ingressStandIn struct {
	state atomic.Pointer[ingressState]
	next  atomic.Uint64
	proxy httputil.ReverseProxy
}

// ingressState holds the controller's view of the API server. Every change replaces the whole state.
type ingressState struct {
	routes     routes
	forwarding forwarding
	limits     limits
}

// keepAlive is the time after which ingress-nginx closes an idle client connection (option keep-alive).
const keepAlive = 75 * time.Second

func newIngress() *ingressStandIn {
	ingress := &ingressStandIn{}
	ingress.proxy = httputil.ReverseProxy{
		Transport: &balancer{&http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext, // proxy-connect-timeout
			MaxIdleConnsPerHost: 320,                                                 // upstream-keepalive-connections
			IdleConnTimeout:     time.Minute,                                         // upstream-keepalive-timeout
			DisableCompression:  true,
		}},
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme = "http"
			r.Out.Host = ingress.state.Load().forwarding.apply(r.In, r.Out.Header)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				log.Printf("ingress: %s%s: %v", r.Host, r.URL.Path, err)
			}
			if errors.As(err, new(*http.MaxBytesError)) {
				refuse(w, http.StatusRequestEntityTooLarge)
				return
			}
			http.Error(w, "502 Bad Gateway", http.StatusBadGateway)
		},
	}
	return ingress
}

func startIngress(ctx context.Context, n *node, pod *corev1.Pod, client kubernetes.Interface) ([]server, error) {
	ingress := newIngress()
	if err := ingress.watch(ctx, pod.Namespace, client); err != nil {
		return nil, err
	}
	healthz := http.NewServeMux()
	healthz.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	return []server{
		{
			address: fmt.Sprintf("%s:%d", n.ip, httpPort(pod)), handler: ingress, probe: "/healthz", delay: readinessDelay(pod),
			idleTimeout: keepAlive,
		},
		{address: n.ip + ":10254", handler: healthz, probe: "/healthz"},
	}, nil
}

// readinessDelay returns the delay of the pod's readiness probe, by which a DaemonSet restarts one node after another.
func readinessDelay(pod *corev1.Pod) time.Duration {
	for _, container := range pod.Spec.Containers {
		if container.ReadinessProbe != nil {
			return time.Duration(container.ReadinessProbe.InitialDelaySeconds) * time.Second
		}
	}
	return 0
}

// httpPort returns the node's port that RKE gave the controller (http_port of cluster.yml).
func httpPort(pod *corev1.Pod) int32 {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == "http" && port.HostPort != 0 {
				return port.HostPort
			}
		}
	}
	return 80
}

// watch keeps the state current. It returns when the first state is complete.
func (i *ingressStandIn) watch(ctx context.Context, namespace string, client kubernetes.Interface) error {
	cluster := informers.NewSharedInformerFactory(client, 0)
	own := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector("metadata.name", "ingress-nginx-controller").String()
		}))
	classes, ingresses := cluster.Networking().V1().IngressClasses(), cluster.Networking().V1().Ingresses()
	services, endpointSlices := cluster.Core().V1().Services(), cluster.Discovery().V1().EndpointSlices()
	configs := own.Core().V1().ConfigMaps()
	changed, synced, err := changesOf(
		classes.Informer(), ingresses.Informer(), services.Informer(), endpointSlices.Informer(), configs.Informer())
	if err != nil {
		return err
	}
	cluster.Start(ctx.Done())
	own.Start(ctx.Done())
	if err := waitForSync(ctx, synced...); err != nil {
		return err
	}
	seen := listers{classes.Lister(), ingresses.Lister(), services.Lister(), endpointSlices.Lister(), configs.Lister()}
	if err := i.update(seen); err != nil {
		return err
	}
	go i.follow(ctx, changed, seen)
	return nil
}

// changesOf returns a channel that is full after a change of any object, and the functions that report whether the first objects are read.
func changesOf(all ...cache.SharedIndexInformer) (<-chan struct{}, []cache.InformerSynced, error) {
	changed := make(chan struct{}, 1)
	notify := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: notify, UpdateFunc: func(_, object any) { notify(object) }, DeleteFunc: notify}
	var synced []cache.InformerSynced
	for _, informer := range all {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, nil, err
		}
		synced = append(synced, informer.HasSynced)
	}
	return changed, synced, nil
}

// listers lists the objects from which the state is made.
type listers struct {
	classes        networkinglisters.IngressClassLister
	ingresses      networkinglisters.IngressLister
	services       corelisters.ServiceLister
	endpointSlices discoverylisters.EndpointSliceLister
	configs        corelisters.ConfigMapLister
}

// update replaces the state by the one that the present objects describe. The state stays when an object cannot be listed.
func (i *ingressStandIn) update(seen listers) error {
	classes, err1 := seen.classes.List(labels.Everything())
	ingresses, err2 := seen.ingresses.List(labels.Everything())
	services, err3 := seen.services.List(labels.Everything())
	endpointSlices, err4 := seen.endpointSlices.List(labels.Everything())
	configs, err5 := seen.configs.List(labels.Everything())
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	options := map[string]string{}
	for _, config := range configs {
		options = config.Data
	}
	limits, err := limitsOf(options)
	if err != nil {
		return err // NGINX refuses such a configuration, and the controller keeps the last one
	}
	i.state.Store(&ingressState{routesOf(classes, ingresses, services, endpointSlices, limits), forwardingOf(options), limits})
	return nil
}

// follow updates the state after each change, until the context ends.
func (i *ingressStandIn) follow(ctx context.Context, changed <-chan struct{}, seen listers) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			if err := i.update(seen); err != nil {
				log.Printf("ingress: %v", err)
			}
		}
	}
}

// waitForSync waits for at most 30 s, so that missing rights show in the pod's status.
func waitForSync(ctx context.Context, synced ...cache.InformerSynced) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return errors.New("objects cannot be read from the API server with the rights of the pod's ServiceAccount")
	}
	return nil
}

type locationKey struct{}

func (i *ingressStandIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	state := i.state.Load()
	if status := state.limits.statusOfHeader(r); status != 0 {
		refuse(w, status)
		return
	}
	location, found := state.routes.find(r.Host, r.URL.Path)
	switch {
	case !found && r.URL.Path == "/healthz": // The default server answers this path for every host.
	case !found:
		http.Error(w, "default backend - 404", http.StatusNotFound)
	case len(location.endpoints) == 0:
		http.Error(w, "503 Service Temporarily Unavailable", http.StatusServiceUnavailable)
	case location.limits.body > 0 && r.ContentLength > location.limits.body:
		refuse(w, http.StatusRequestEntityTooLarge)
	default:
		if location.limits.body > 0 { // NGINX counts the received bytes of a body without a declared length.
			r.Body = http.MaxBytesReader(w, r.Body, location.limits.body)
		}
		if location.limits.storesBodies {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				i.proxy.ErrorHandler(w, r, err)
				return
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		first := int(i.next.Add(1) % uint64(len(location.endpoints)))
		location.endpoints = slices.Concat(location.endpoints[first:], location.endpoints[:first])
		i.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), locationKey{}, location)))
	}
}

// refuse answers as NGINX does to a request that exceeds a limit: it closes the connection.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Connection", "close")
	http.Error(w, fmt.Sprintf("%d %s", status, http.StatusText(status)), status)
}
