package main

import (
	"context"
	"errors"
	"log"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
)

// node runs the known pods that the scheduler put on one Node.
type node struct {
	name, ip string
	config   *rest.Config
	client   kubernetes.Interface
	events   record.EventRecorder

	// known holds the node's pods as the API server reports them.
	known cache.Store

	lock    sync.Mutex
	running map[types.UID]context.CancelFunc
	pods    sync.WaitGroup
}

func newNode(config *rest.Config, name, ip string) (*node, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	events := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: name})
	return &node{name: name, ip: ip, config: config, client: client, events: events, running: map[types.UID]context.CancelFunc{}}, nil
}

// run follows the node's pods until ctx ends.
func (n *node) run(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(n.client, 0, informers.WithTweakListOptions(func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", n.name).String()
	}))
	informer := factory.Core().V1().Pods().Informer()
	n.known = informer.GetStore()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { n.observe(ctx, object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { n.observe(ctx, object.(*corev1.Pod)) },
		DeleteFunc: func(object any) {
			if missed, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = missed.Obj
			}
			n.stop(object.(*corev1.Pod))
		},
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	n.pods.Wait()
	return nil
}

func (n *node) observe(ctx context.Context, pod *corev1.Pod) {
	program := programOf(pod)
	switch {
	case program == nil:
	case pod.DeletionTimestamp != nil:
		n.stop(pod)
	default:
		n.start(ctx, pod, program)
	}
}

// programOf returns the program that runs in place of a pod's containers, or nil for a pod that only kwok keeps.
func programOf(pod *corev1.Pod) program {
	switch {
	case pod.Namespace == "ingress-nginx" && pod.Labels["app"] == "ingress-nginx":
		return startIngress
	case pod.Namespace == "cattle-system" && pod.Labels["app"] == "rancher" && pod.Spec.Containers[0].Name == "rancher":
		return startRancher
	}
	return nil
}

func (n *node) start(ctx context.Context, pod *corev1.Pod, program program) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if n.running[pod.UID] != nil || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	n.running[pod.UID] = cancel
	n.pods.Add(1)
	go func() {
		defer n.pods.Done()
		defer cancel()
		n.runPod(ctx, pod, program)
		n.remove(pod)
		n.lock.Lock()
		defer n.lock.Unlock()
		delete(n.running, pod.UID)
	}()
}

func (n *node) stop(pod *corev1.Pod) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if cancel := n.running[pod.UID]; cancel != nil {
		cancel()
	}
}

// remove deletes a terminating pod from the API after its program has ended, as a kubelet does at the end of termination.
func (n *node) remove(pod *corev1.Pod) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	pods := n.client.CoreV1().Pods(pod.Namespace)
	if current, err := pods.Get(ctx, pod.Name, metav1.GetOptions{}); err != nil || current.UID != pod.UID || current.DeletionTimestamp == nil {
		return
	}
	options := metav1.NewDeleteOptions(0)
	options.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	if err := pods.Delete(ctx, pod.Name, *options); err != nil {
		log.Printf("pod %s/%s: %v", pod.Namespace, pod.Name, err)
	}
}

// runPod runs the pod's program until ctx ends. It restarts the program after each failure and writes the pod's status.
func (n *node) runPod(ctx context.Context, pod *corev1.Pod, program program) {
	status := &podStatus{node: n, pod: pod, startTime: metav1.Now()}
	for ctx.Err() == nil {
		if err := n.servePod(ctx, pod, program, status); err != nil {
			var problem *startProblem
			if !errors.As(err, &problem) {
				problem = &startProblem{reason: "CrashLoopBackOff", event: "BackOff", message: err.Error()}
			}
			status.waiting(ctx, problem)
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}

func (n *node) servePod(ctx context.Context, pod *corev1.Pod, program program, status *podStatus) error {
	client, err := n.clientOf(pod)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	servers, err := program(ctx, n, pod, client)
	if err != nil {
		return err
	}
	return serve(ctx, servers, func(ready bool) { status.running(ctx, ready) })
}
