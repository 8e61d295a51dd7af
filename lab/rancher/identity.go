package main

import (
	"context"
	"time"

	"golang.org/x/oauth2"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// podToken requests tokens of a pod's ServiceAccount that are bound to the pod, as a kubelet does for projected volumes.
type podToken struct {
	node *node
	pod  *corev1.Pod
}

func (t *podToken) Token() (*oauth2.Token, error) {
	link, err := t.node.connected()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: t.pod.Name, UID: t.pod.UID},
	}}
	accounts := link.client.CoreV1().ServiceAccounts(t.pod.Namespace)
	answer, err := accounts.CreateToken(ctx, t.pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	const early = 10 * time.Minute
	return &oauth2.Token{AccessToken: answer.Status.Token, Expiry: answer.Status.ExpirationTimestamp.Add(-early)}, nil
}

// clientOf returns a client with the rights of the pod's ServiceAccount and none of the node's.
func (n *node) clientOf(pod *corev1.Pod) (kubernetes.Interface, error) {
	link, err := n.connected()
	if err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(link.config)
	config.Wrap(transport.TokenSourceWrapTransport(oauth2.ReuseTokenSource(nil, &podToken{n, pod})))
	return kubernetes.NewForConfig(config)
}
