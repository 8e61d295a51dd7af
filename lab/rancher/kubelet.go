package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
)

// connection is a kubelet's way to the API server, with its credentials of now.
type connection struct {
	config *rest.Config
	client kubernetes.Interface
	events record.EventRecorder
	known  cache.Store // the node's pods as the API server reports them
}

// kubelet is the one whose pods this program runs. They outlive it. As long as it is away, no pod starts or ends, and no status is written.
type kubelet struct {
	kubeconfig string
	node       string
	health     string // URL
}

var errNoKubelet = errors.New("the kubelet does not run")

// connect returns a connection that records events until ctx ends.
func (k *kubelet) connect(ctx context.Context) (*connection, error) {
	config, err := clientcmd.BuildConfigFromFlags("", k.kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	events := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: k.node})
	return &connection{config: config, client: client, events: events}, nil
}

// watched returns a context that ends when the kubelet stops, when it has other credentials, or by the function beside it.
func (k *kubelet) watched(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	files := k.credentials()
	before := stamp(files)
	go func() {
		defer cancel()
		for ctx.Err() == nil && answersOK(ctx, k.health) && stamp(files) == before {
			pause(ctx, time.Second)
		}
	}()
	return ctx, cancel
}

// credentials returns the files by which the kubelet and the API server know each other.
func (k *kubelet) credentials() []string {
	files := []string{k.kubeconfig}
	if config, err := clientcmd.BuildConfigFromFlags("", k.kubeconfig); err == nil {
		files = append(files, config.CAFile, config.CertFile)
	}
	return files
}

// stamp returns a text that changes with the files.
func stamp(files []string) string {
	var all strings.Builder
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			fmt.Fprintln(&all, file, info.Size(), info.ModTime())
		}
	}
	return all.String()
}

func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}
