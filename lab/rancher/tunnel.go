package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"

	"github.com/rancher/remotedialer"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// tokenHeader and paramsHeader carry an agent's registration token and its description, as Rancher's agents send them.
const (
	tokenHeader  = "X-API-Tunnel-Token"
	paramsHeader = "X-API-Tunnel-Params"
)

// agentParams is the content of paramsHeader, as JSON in base64. The name replaces the description by which Rancher finds the cluster.
type agentParams struct {
	Cluster struct {
		Name string `json:"name"`
	} `json:"cluster"`
}

// tunnels is one replica's end of the agents' tunnels. It reaches the tunnels of the other replicas through its peers.
type tunnels struct {
	server            *remotedialer.Server
	registrationToken string
	peerToken         string
}

func startTunnels(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, c *container,
	registrationToken, peerToken string) (*tunnels, error) {
	t := &tunnels{registrationToken: registrationToken, peerToken: peerToken}
	t.server = remotedialer.New(t.authorize, remotedialer.DefaultErrorWriter)
	t.server.PeerID, t.server.PeerToken = string(pod.UID), peerToken
	return t, t.followPeers(ctx, client, c.env["CATTLE_NAMESPACE"], c.env["CATTLE_PEER_SERVICE"])
}

func (t *tunnels) authorize(request *http.Request) (name string, allowed bool, err error) {
	if !equal(request.Header.Get(tokenHeader), t.registrationToken) {
		return "", false, nil
	}
	text, err := base64.StdEncoding.DecodeString(request.Header.Get(paramsHeader))
	if err != nil {
		return "", false, fmt.Errorf("%s is not base64", paramsHeader)
	}
	var params agentParams
	if err := json.Unmarshal(text, &params); err != nil || params.Cluster.Name == "" {
		return "", false, fmt.Errorf("%s does not name the cluster", paramsHeader)
	}
	return params.Cluster.Name, true, nil
}

func (t *tunnels) isPeer(request *http.Request) bool {
	return request.URL.Path == "/v3/connect" && request.Header.Get(remotedialer.ID) != "" &&
		equal(request.Header.Get(remotedialer.Token), t.peerToken)
}

// followPeers keeps a tunnel to every other ready pod of the Service, as Rancher does.
func (t *tunnels) followPeers(ctx context.Context, client kubernetes.Interface, namespace, service string) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.LabelSelector = labels.Set{discoveryv1.LabelServiceName: service}.String()
		}))
	slices := factory.Discovery().V1().EndpointSlices()
	peers := map[string]string{}
	var lock sync.Mutex
	update := func(any) {
		lock.Lock()
		defer lock.Unlock()
		current, err := slices.Lister().List(labels.Everything())
		if err != nil || ctx.Err() != nil {
			return
		}
		wanted := peersOf(current, t.server.PeerID)
		for id := range peers {
			if wanted[id] == "" {
				t.server.RemovePeer(id)
			}
		}
		for id, address := range wanted {
			t.server.AddPeer("ws://"+address+"/v3/connect", id, t.peerToken)
		}
		peers = wanted
	}
	informer := slices.Informer()
	handler := cache.ResourceEventHandlerFuncs{AddFunc: update, UpdateFunc: func(_, object any) { update(object) }, DeleteFunc: update}
	if _, err := informer.AddEventHandler(handler); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	context.AfterFunc(ctx, func() {
		lock.Lock()
		defer lock.Unlock()
		for id := range peers {
			t.server.RemovePeer(id)
		}
	})
	return waitForSync(ctx, informer.HasSynced)
}

// peersOf maps the id of every ready pod, except the own one, to its address.
func peersOf(slices []*discoveryv1.EndpointSlice, own string) map[string]string {
	peers := map[string]string{}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			if ready && endpoint.TargetRef != nil && string(endpoint.TargetRef.UID) != own {
				peers[string(endpoint.TargetRef.UID)] = endpointAddress(endpoint, 80)
			}
		}
	}
	return peers
}

// forward sends a request through an agent's tunnel to an address that the agent dials.
func (t *tunnels) forward(w http.ResponseWriter, r *http.Request) {
	client := r.PathValue("client")
	if !t.server.HasSession(client) {
		writeError(w, http.StatusServiceUnavailable, "ClusterUnavailable", "no tunnel of "+client)
		return
	}
	dial := t.server.Dialer(client)
	proxy := httputil.ReverseProxy{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return dial(ctx, network, address)
			},
			DisableKeepAlives: true,
		},
		FlushInterval: -1,
		Rewrite: func(request *httputil.ProxyRequest) {
			request.Out.URL.Scheme, request.Out.URL.Host = r.PathValue("scheme"), r.PathValue("address")
			request.Out.URL.Path, request.Out.URL.RawPath = "/"+r.PathValue("path"), ""
			request.Out.Host = ""
			request.Out.Header.Del("Authorization")
			request.Out.Header.Del("Cookie")
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			writeError(w, http.StatusBadGateway, "TunnelError", err.Error())
		},
	}
	proxy.ServeHTTP(w, r)
}
