package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
)

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("expected within 30 s: %s", what)
		}
	}
}

func ingressPod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ingress-nginx", UID: types.UID(name), Labels: map[string]string{"app": "ingress-nginx"}},
		Spec:       corev1.PodSpec{NodeName: "node1"},
	}
}

func TestPodsOutliveTheKubelet(t *testing.T) {
	var up atomic.Bool
	up.Store(true)
	health := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			response.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer health.Close()
	client := fake.NewClientset(ingressPod("stays"), ingressPod("leaves"))
	n := newNode(&kubelet{node: "node1", health: health.URL}, "127.0.0.1")
	n.connect = func(context.Context) (*connection, error) {
		return &connection{config: &rest.Config{}, client: client, events: record.NewFakeRecorder(100)}, nil
	}
	runs := func(pod types.UID) bool {
		n.lock.Lock()
		defer n.lock.Unlock()
		return n.running[pod] != nil
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- n.run(ctx) }()
	eventually(t, "both pods run", func() bool { return runs("stays") && runs("leaves") })

	up.Store(false)
	eventually(t, "no connection without a kubelet", func() bool { return n.link.Load() == nil })
	pods := client.CoreV1().Pods("ingress-nginx")
	if err := pods.Delete(ctx, "leaves", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := pods.Create(ctx, ingressPod("comes"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	if !runs("stays") || !runs("leaves") || runs("comes") {
		t.Fatal("expected no pod to start or end while the kubelet is away")
	}

	up.Store(true)
	eventually(t, "the kubelet makes up for what it missed", func() bool { return runs("stays") && !runs("leaves") && runs("comes") })
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
